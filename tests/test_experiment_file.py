"""Experiment files: variants, grids, overrides, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectfour.errors import ConfigError, PlayerError, PositionsError, SnapshotError
from connectfour.experiments.reading import Experiment, read_experiment
from tests.runs import make_run

CONFIGS = Path(__file__).parent.parent / "configs" / "experiments"
TWO = "variants: {ppo: {}, apex: {algorithm: apex}}\n"


def read(folder: Path, text: str, *overrides: str) -> Experiment:
    """Read an experiment that consists of a question and ``text``."""
    file = folder / "mine.yaml"
    file.write_text(f"question: Which one?\n{text}")
    return read_experiment(file, overrides)


@pytest.mark.parametrize("file", sorted(CONFIGS.glob("*.yaml")), ids=lambda file: file.stem)
def test_the_packaged_experiments_can_be_read(file: Path) -> None:
    """Each has variants that differ."""
    experiment = read_experiment(file)
    assert len({variant.settings for variant in experiment.variants}) == len(experiment.variants) >= 2


def test_variants_are_settings_over_settings_of_all_runs(tmp_path: Path) -> None:
    """The configuration is the base, then ``train``, then the variant; nested and dotted names mean the same."""
    (tmp_path / "base.yaml").write_text("network: {width: 64}\nstop: {minutes: 7}\nppo: {epochs: 3}\n")
    experiment = read(
        tmp_path,
        "config: base.yaml\n"
        "train: {network: {width: 32}, stop.minutes: 2}\n"
        "variants:\n  narrow: {network: {width: 16}}\n  slow: {ppo.learning_rate: 1e-4}\n",
    )
    narrow, slow = experiment.variants
    assert (narrow.settings.network.width, slow.settings.network.width) == (16, 32)
    assert (narrow.settings.stop.minutes, narrow.settings.ppo.epochs) == (2, 3)
    assert slow.settings.ppo.learning_rate == 1e-4
    assert slow.changes == {"ppo.learning_rate": "1e-4"}


def test_a_grid_makes_every_combination_a_variant(tmp_path: Path) -> None:
    """The names say the values; with variants, every variant is combined with every cell."""
    grid = "grid: {network.encoder: [lines, mlp], network.width: [16, 32]}\n"
    assert [variant.name for variant in read(tmp_path, grid).variants] == [
        "encoder=lines,width=16",
        "encoder=lines,width=32",
        "encoder=mlp,width=16",
        "encoder=mlp,width=32",
    ]
    both = read(tmp_path, "grid: {network.width: [16, 32]}\n" + TWO).variants
    assert [variant.name for variant in both] == ["ppo,width=16", "ppo,width=32", "apex,width=16", "apex,width=32"]
    assert both[3].settings.algorithm == "apex"
    assert both[3].settings.network.width == 32


def test_a_variant_may_have_its_own_configuration(tmp_path: Path) -> None:
    """Two algorithms have different sections."""
    (tmp_path / "a.yaml").write_text("algorithm: apex\napex: {batch_size: 256}\n")
    ppo, apex = read(tmp_path, "variants: {ppo: {}, apex: {config: a.yaml}}\n").variants
    assert (ppo.settings.algorithm, apex.settings.algorithm) == ("ppo", "apex")
    assert apex.settings.apex.batch_size == 256


def test_overrides_reach_the_experiment_and_its_runs(tmp_path: Path) -> None:
    """Those of runs begin with ``train.``."""
    limited = read(tmp_path, "train:\n" + TWO, "train.stop.minutes=null", "train.stop.env_steps=500")
    assert {(each.settings.stop.minutes, each.settings.stop.env_steps) for each in limited.variants} == {(None, 500)}
    experiment = read(tmp_path, TWO, "runs=7", "first_seed=3", "train.stop.minutes=9", "evaluation.games=12")
    assert list(experiment.seeds) == list(range(3, 10))
    assert [variant.settings.stop.minutes for variant in experiment.variants] == [9, 9]
    assert experiment.settings.evaluation.games == 12


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("runs: 0\n", "runs = 0 is not allowed"),
        ("rums: 2\n", "unknown key 'rums': did you mean 'runs'"),
        ("evaluation: {gaems: 2}\n", "unknown key 'evaluation.gaems': did you mean 'evaluation.games'"),
        ("variants: {a: {network.widht: 2}}\n", "variant a: unknown setting 'network.widht'"),
        ("variants: {a: {lookahead.share: 0.1, algorithm: apex}}\n", "variant a: lookahead belongs to"),
        ("variants: {a: {seed: 2}}\n", "variant a sets seed"),
        ("variants:\n  a: {}\n  a: {threads: 2}\n", "'a' stands there twice, at line 4"),
        ("grid: {network.width: [16, 16]}\n", "two variants have the name width=16"),
        ("grid: {network.width: []}\n", "grid.network.width has no values"),
        ("variants: {a/b: {}}\n", "'a/b' cannot be the name of a variant"),
        ("evaluate_if: win_rate >\n", "cannot read the condition 'win_rate >'"),
        ("evaluate_if: winrate > 0.7\n", "unknown metric 'winrate': did you mean 'win_rate'"),
        ("plots: [value_perserving]\n", "unknown metric 'value_perserving': did you mean 'value_preserving'"),
        ("evaluation: {metric: win_rate}\n", "evaluation.metric = win_rate cannot compare runs"),
        ("question: ''\n", "'question' stands there twice"),
        ("config: nowhere.yaml\n", "cannot read .*nowhere.yaml"),
        ("variants: [a, b]\n", "variants = .* is not allowed"),
        ("evaluation: 3\n", "evaluation = 3 is not allowed"),
        ("evaluation: {opponents: []}\n", "evaluation.opponents = .* is not allowed"),
        ("resources: {train: {tags: {CPU: 1}}}\n", "tags has CPU: 1: name a custom resource"),
        ("train: {stop.minutes: null}\n", "variant all has no limit in minutes or env steps"),
        ("grid: {stop.minutes: [1, null]}\n", "variant minutes=None has no limit"),
        ("train: {checkpoint.history: 5}\n", "sets checkpoint.history: set evaluation.points instead"),
        ("train: 3\n", "train = 3 is not allowed"),
    ],
)
def test_a_bad_file_is_refused_in_one_sentence(tmp_path: Path, text: str, message: str) -> None:
    """It says what is wrong, with the value."""
    with pytest.raises(ConfigError, match=message) as refused:
        read(tmp_path, text)
    assert "\n" not in str(refused.value)


def test_an_opponent_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    """Before anything is trained."""
    with pytest.raises(PlayerError, match="nobody"):
        read(tmp_path, "evaluation: {opponents: [heuristic:nobody]}\n")


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    """Steps run in another folder, so they get absolute ones; a missing file is refused before anything is trained."""
    make_run(tmp_path / "runs" / "first")
    (tmp_path / "mine.csv").write_text("moves,s1,s2,s3,s4,s5,s6,s7\n,-2,-1,0,1,0,-1,-2\n")
    text = "evaluation: {positions: mine.csv, opponents: [heuristic:linear, 'snapshot:runs/first/v1']}\n"
    evaluation = read(tmp_path, text).settings.evaluation
    assert evaluation.positions == str(tmp_path / "mine.csv")
    assert evaluation.opponents == ("heuristic:linear", f"snapshot:{tmp_path}/runs/first/v1")
    with pytest.raises(PositionsError, match=r"yours\.csv"):
        read(tmp_path, text.replace("mine.csv", "yours.csv"))
    with pytest.raises(SnapshotError, match="v9"):
        read(tmp_path, text.replace("v1", "v9"))


def test_a_file_without_a_question_is_refused(tmp_path: Path) -> None:
    """The question says what the report is about."""
    file = tmp_path / "mine.yaml"
    for text in ("runs: 2\n", "question: ' '\n"):
        file.write_text(text)
        with pytest.raises(ConfigError, match=r"question is (missing|empty)"):
            read_experiment(file)


def test_the_name_of_an_experiment_becomes_a_folder(tmp_path: Path) -> None:
    """So not every name will do."""
    (tmp_path / "mine.yaml").write_text("question: Which one?\n")
    with pytest.raises(ConfigError, match=r"'\.\./x' cannot be the name of the experiment"):
        read_experiment(tmp_path / "mine.yaml", name="../x")


def test_a_game_with_a_picture_has_example_games(tmp_path: Path) -> None:
    """Two by default, against the strongest anchor; a game without a picture has none and refuses them."""
    examples = read(tmp_path, "game: tictactoe\n" + TWO).settings.examples
    assert (examples.games, examples.opponent) == (2, "heuristic:minimax:9")
    zoo = "pettingzoo:pettingzoo.classic.tictactoe_v3"
    text = f"game: {zoo}\nevaluation: {{metric: score}}\n{TWO}"
    assert read(tmp_path, text).settings.examples.games == 0
    with pytest.raises(ConfigError, match=rf"examples.games = 1, but {zoo} draws no pictures: set it to 0"):
        read(tmp_path, f"{text}examples: {{games: 1}}\n")
