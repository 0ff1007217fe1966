"""Settings: defaults, files, overrides, and messages about mistakes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from connectfour.errors import ConfigError, GameError
from connectfour.games.registry import make_game
from connectfour.learning.apex.algorithm import SelfPlayApexConfig
from connectfour.learning.apex.settings import ApexRunSettings
from connectfour.learning.ppo.algorithm import SelfPlayPPOConfig
from connectfour.learning.ppo.settings import PPORunSettings
from connectfour.settings.describing import describe
from connectfour.settings.game import GameSettings
from connectfour.settings.reading import dump_settings, flat, load_settings, set_value
from connectfour.settings.schema import RunSettings

CONFIGS = sorted((Path(__file__).parent.parent / "configs").glob("*.yaml"))


def test_yaml_round_trip(tmp_path: Path) -> None:
    """What is written is what is read."""
    settings = load_settings(None, ["ppo.gamma=0.5", "league.heuristics=[random]", "stop.minutes=null"])
    file = tmp_path / "config.yaml"
    file.write_text(dump_settings(settings))
    assert load_settings(file) == settings
    assert settings.stop.minutes is None


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: file.stem)
def test_shipped_configurations_are_valid(file: Path) -> None:
    """Every file in configs/ loads."""
    assert load_settings(file)


def test_there_are_shipped_configurations() -> None:
    """The folder is where the README says."""
    assert "quick" in {file.stem for file in CONFIGS}


def test_overrides_win_over_the_file(tmp_path: Path) -> None:
    """And leave the rest of the file alone."""
    file = tmp_path / "some.yaml"
    file.write_text("ppo:\n  epochs: 7\n  gamma: 0.9\n")
    settings = load_settings(file, ["ppo.epochs=2", "ppo.learning_rate=3e-4"])
    assert isinstance(settings, PPORunSettings)
    assert (settings.ppo.epochs, settings.ppo.gamma, settings.ppo.learning_rate) == (2, 0.9, 3e-4)


@pytest.mark.parametrize("text", ["1000000", "1e6", "1.0e+6", "1_000_000"])
def test_numbers_are_read_as_people_write_them(text: str, tmp_path: Path) -> None:
    """1e6 is a string in YAML 1.1, but a number to everyone else."""
    assert load_settings(None, [f"stop.env_steps={text}"]).stop.env_steps == 1_000_000
    (tmp_path / "some.yaml").write_text(f"stop:\n  env_steps: {text}\n")
    assert load_settings(tmp_path / "some.yaml").stop.env_steps == 1_000_000


def test_an_empty_section_keeps_its_defaults(tmp_path: Path) -> None:
    """As when its only line was commented out; an override still applies."""
    (tmp_path / "some.yaml").write_text("stop:\n  # minutes: 3\nseed: 4\n")
    assert load_settings(tmp_path / "some.yaml") == PPORunSettings(seed=4)
    assert load_settings(tmp_path / "some.yaml", ["stop.minutes=2"]).stop.minutes == 2


def test_an_empty_file_is_the_defaults(tmp_path: Path) -> None:
    """An empty file changes nothing."""
    file = tmp_path / "empty.yaml"
    file.write_text("")
    assert load_settings(file) == PPORunSettings()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("ppo.learning_rat=1", "unknown setting 'ppo.learning_rat': did you mean 'ppo.learning_rate'"),
        ("learning_rate=1", "did you mean 'ppo.learning_rate'"),
        ("stop.minute=1", "did you mean 'stop.minutes'"),
        ("network.encoder.width=1", "unknown setting|network.encoder = "),
        ("ppo.learning_rate=-0.001", "ppo.learning_rate = -0.001 is not allowed: input should be greater than 0"),
        ("ppo.learning_rate=nan", "ppo.learning_rate"),
        ("ppo.epochs=two", "ppo.epochs = 'two' is not allowed"),
        ("network.width=33", "network.width = 33 is odd"),
        ("network.encoder=cnn", "network.encoder = 'cnn' is unknown: choose lines, mlp, resnet, or name a class"),
        ("ppo.minibatch_size=100000", "is larger than ppo.batch_size"),
        ("league.heuristics=[]", "^league.opponents is empty: name"),
        ("league.heuristics=[random, random]", "^league.opponents has two with the name random: remove or rename one"),
        ("league.opponent_count=2", "5 opponents do not fit into league.opponent_count = 2"),
        ("seed=5000000000", "seed = 5000000000 is not allowed"),
        ("stop.env_steps=1.5", "stop.env_steps"),
        ("seed.x=1", "seed = .* is not allowed"),
        ("algorithm=sac", "unknown algorithm 'sac': choose 'ppo'"),
        ("seed", "cannot read the override 'seed': write it as key=value"),
        ("seed=[", "is not valid YAML and cannot be the value of seed"),
        ("seed=2024-99-99", "is not valid YAML and cannot be the value of seed"),
    ],
)
def test_mistakes_get_one_sentence(override: str, message: str) -> None:
    """What was wrong, with the value, and what to do."""
    with pytest.raises(ConfigError, match=message) as error:
        load_settings(None, [override])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ppo: [1, 2", "is not valid YAML at line"),
        ("seed: 2024-99-99", "is not valid YAML: fix it"),
        ("[" * 9999, "is not valid YAML: fix it"),
        ("- 1\n- 2", "contains a list instead of settings"),
        ("ppo:\n  gama: 1", "unknown setting 'ppo.gama': did you mean 'ppo.gamma'"),
    ],
)
def test_bad_files_get_one_sentence(tmp_path: Path, text: str, message: str) -> None:
    """The same for files."""
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_settings(file)


def test_a_missing_file_gets_one_sentence(tmp_path: Path) -> None:
    """With its path."""
    with pytest.raises(ConfigError, match=r"nothing\.yaml: No such file"):
        load_settings(tmp_path / "nothing.yaml")


@pytest.mark.parametrize("kind", [PPORunSettings, ApexRunSettings])
def test_every_setting_has_a_description(kind: type[RunSettings]) -> None:
    """The list that the command prints has no gaps."""
    assert all(description for _, description in describe(kind))
    assert len({name for name, _ in describe(kind)}) > 25


@pytest.mark.parametrize(
    ("overrides", "complaint"),
    [
        (["algorithm=sac"], r"unknown algorithm 'sac': choose 'ppo', 'apex'"),
        (["algorithm=apex", "rollout.env_runners=0"], r"rollout\.env_runners = 0 is not allowed"),
        (["algorithm=apex", "rollout.env_runner=stock"], r"rollout\.env_runner = 'stock' is not allowed"),
        (["algorithm=apex", "replay.capacity=100"], r"replay\.capacity = 100 is smaller than batch_size = 1024"),
        (
            ["algorithm=apex", "replay.learning_starts=2e7"],
            r"learning_starts = 20000000 is larger than",
        ),
        (["algorithm=apex", "ppo.clip=0.1"], r"ppo belongs to algorithm=ppo, but this run has algorithm=apex"),
        (["algorithm=apex", "lookahead.share=0.1"], r"lookahead belongs to algorithm=ppo"),
        (["apex.n_step=3"], r"apex belongs to algorithm=apex, but this run has algorithm=ppo"),
        (["replay.shards=2"], r"replay belongs to algorithm=apex"),
        (["network.head=dueling"], r"network\.head follows from algorithm=ppo: leave it out"),
        (["algorithm=apex", "network.head=dueling"], r"network\.head follows from algorithm=apex: leave it out"),
        (["league.guests=[linear]"], r"league\.opponents names 'linear': write heuristic:NAME, snapshot"),
        (["league.opponents=[app:linear]"], r"league\.opponents names 'app:linear': write heuristic:NAME, snapshot"),
        (
            ["league.opponents=[heuristic:random]", "league.guests=[snapshot:a/v1]"],
            r"^league\.opponents takes the place of league\.heuristics and league\.guests",
        ),
        (["network.start_from=heuristic:linear"], r"network\.start_from names 'heuristic:linear': write snapshot"),
        (
            ["league.guests=[snapshot:a/b/v1, snapshot:c/b/v1]"],
            r"two with the name b-v1",
        ),
        (
            ["league.guests=[snapshot:a/v1]", "league.opponent_count=5"],
            r"6 opponents do not fit into league\.opponent_count = 5",
        ),
    ],
)
def test_settings_of_one_learner_are_refused_by_the_other(overrides: list[str], complaint: str) -> None:
    """In one sentence that says what to change."""
    with pytest.raises(ConfigError, match=complaint):
        load_settings(None, overrides)


STOCK = "rollout.env_runner=stock"


@pytest.mark.parametrize(
    ("overrides", "name"),
    [
        (["algorithm=apex", "rollout.overlap=true"], "rollout.overlap"),
        (["algorithm=apex", "rollout={overlap: false}"], "rollout.overlap"),
        ([STOCK, "rollout.overlap=false"], "rollout.overlap"),
        ([STOCK, "rollout.slip_probability=0.1"], "rollout.slip_probability"),
        ([STOCK, "lookahead.share=0"], "lookahead.share"),
        (["lookahead.temperature=0.1", STOCK], "lookahead.temperature"),
    ],
)
def test_settings_without_effect_are_refused_by_name(overrides: list[str], name: str, tmp_path: Path) -> None:
    """On the command line, in a file, and in a search, whatever their value."""
    with pytest.raises(ConfigError, match=f"^{name} has no effect in this run: .*; leave it out$"):
        load_settings(None, overrides)
    values: dict[str, Any] = {}
    for override in overrides:
        key, _, text = override.partition("=")
        set_value(values, key, yaml.safe_load(text))
    file = tmp_path / "user.yaml"
    file.write_text(yaml.safe_dump(values))
    with pytest.raises(ConfigError, match=f"^{name} has no effect"):
        load_settings(file)
    kept = [override for override in overrides if override in {STOCK, "algorithm=apex"}]
    settings = load_settings(None, kept)
    config = SelfPlayApexConfig if settings.algorithm == "apex" else SelfPlayPPOConfig
    with pytest.raises(ConfigError, match=f"^{name} has no effect"):
        config.from_settings(settings).search({name: 0.5})


def test_a_resume_with_the_other_runner_keeps_what_was_chosen(tmp_path: Path) -> None:
    """Settings that do nothing for a while are stored if they have a value of their own."""
    file = tmp_path / "config.yaml"
    file.write_text(dump_settings(load_settings(None, ["lookahead.share=0.5"])))
    file.write_text(dump_settings(load_settings(file, [STOCK], stored=True)))
    settings = load_settings(file, ["rollout.env_runner=lockstep"], stored=True)
    assert settings.lookahead.share == 0.5


@pytest.mark.parametrize("overrides", [["algorithm=apex"], [STOCK]])
def test_a_stored_run_may_carry_settings_without_effect(overrides: list[str], tmp_path: Path) -> None:
    """Earlier releases stored all defaults, and the head of the network; this one leaves them out."""
    settings = load_settings(None, overrides)
    dumped = dump_settings(settings)
    written = {name for name, _ in flat(yaml.safe_load(dumped))}
    for name in settings.idle:
        assert not {each for each in written if f"{each}.".startswith(f"{name}.")}
    values = settings.model_dump(mode="json")
    values["network"]["head"] = settings.head
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(values))
    assert load_settings(file, stored=True) == settings
    assert load_settings(file) == settings, "as a file of settings, too"
    with pytest.raises(ConfigError, match="has no effect"):
        load_settings(file, ["rollout.overlap=true"], stored=True)


def test_opponents_of_earlier_releases_are_read() -> None:
    """Heuristics without a prefix and guests, in files and in overrides."""
    both = load_settings({"league": {"heuristics": ["random"], "guests": ["snapshot:/a/v1"]}})
    assert both.league.opponents == ("heuristic:random", "snapshot:/a/v1")
    assert (both.league.heuristics, both.league.guests) == (("random",), ("snapshot:/a/v1",))
    assert load_settings(None, ["league.guests=[onnx:/b/rival.onnx]"]).league.opponents[-1] == "onnx:/b/rival.onnx"


@pytest.mark.parametrize(
    ("overrides", "complaint"),
    [
        (["game=chess"], r"unknown game 'chess': choose connect_four, tictactoe, pettingzoo:MODULE"),
        (["game=no_such_module:Game"], r"game no_such_module:Game cannot be imported: No module named"),
        (["game=tictactoe", "game.options.size=4"], r"game tictactoe cannot be made with options {'size': 4}"),
        (["game=collections:OrderedDict"], r"game collections:OrderedDict is OrderedDict: name a subclass of"),
        (["game=pettingzoo:no.such.module"], r"pettingzoo:no\.such\.module"),
        (["game=tictactoe(size=4)"], r"game tictactoe cannot be made with options {'size': 4}"),
        (["game=tictactoe(size)"], r"cannot read the options of game 'tictactoe\(size\)': write them as"),
        (["game=tictactoe([)"], r"cannot read the options of game 'tictactoe\(\[\)': write them as"),
    ],
)
def test_games_that_do_not_exist_are_refused(overrides: list[str], complaint: str) -> None:
    """Whatever is wrong with them."""
    with pytest.raises(GameError, match=complaint):
        load_settings(None, overrides)


@pytest.mark.parametrize(
    ("overrides", "complaint"),
    [
        (
            ["network.encoder=lines"],
            r"network\.encoder = lines knows Connect Four, not tictactoe: choose mlp or resnet",
        ),
        (["rollout.mirror_opening_plies=8"], r"rollout\.mirror_opening_plies = 8 is not allowed: .* choose 0 to 7"),
        (
            ["game=pettingzoo:pettingzoo.classic.tictactoe_v3", "network.symmetric=true"],
            r"network\.symmetric needs symmetries, and pettingzoo:.*tictactoe_v3 names none",
        ),
        (
            ["game=connect_four", "network.symmetric=true"],
            r"network\.symmetric is for other encoders: lines is symmetric",
        ),
        (["network.encoder=mlp", "network.options.a=1"], r"network\.options are for an encoder of your own"),
    ],
)
def test_settings_that_do_not_fit_the_game_are_refused(overrides: list[str], complaint: str) -> None:
    """With the game and what to choose."""
    with pytest.raises(ConfigError, match=complaint):
        load_settings(None, ["game=tictactoe", *overrides])


@pytest.mark.parametrize("name", ["main", "v0001", "v12"])
def test_an_opponent_cannot_take_the_name_of_main_or_of_a_snapshot(name: str) -> None:
    """A model is called by its file."""
    with pytest.raises(ConfigError, match=rf"league\.opponents has one with the name {name}, which is main's"):
        load_settings(None, [f"league.opponents=[heuristic:random, 'onnx:{name}.onnx']"])


def test_options_may_follow_the_name_of_a_game() -> None:
    """In parentheses, as messages write them; further ones join them."""
    text = "pettingzoo:pettingzoo.classic.go_v5(board_size=5, max_plies=99)"
    game = load_settings(None, [f"game={text}"]).game
    assert (game.name, game.options) == (text.partition("(")[0], {"board_size": 5, "max_plies": 99})
    assert str(game) == text
    options = {"word": "yes", "number": "1", "nothing": None, "list": [1, 2], "equal": "x=1", "flag": True}
    written = GameSettings(name="my_package.games:Mine", options=options)
    assert GameSettings.model_validate(str(written)) == written
    assert GameSettings.model_validate("tictactoe ()").name == "tictactoe"
    settings = load_settings(
        {"game": "pettingzoo:pettingzoo.classic.go_v5(board_size=5)"}, ["game.options.max_plies=99"]
    )
    assert settings.game == game


def test_defaults_follow_the_game() -> None:
    """The name of the game alone makes a whole run, for both learners; what is given stays."""
    for algorithm in ("ppo", "apex"):
        found = load_settings(None, [f"algorithm={algorithm}", "game=tictactoe", "network.layers=3"])
        assert (found.game.name, found.network.encoder, found.network.layers) == ("tictactoe", "mlp", 3)
        assert found.league.heuristics == make_game("tictactoe").heuristics
        assert load_settings(found.model_dump(mode="json"), stored=True) == found
    assert load_settings({"game": "tictactoe", "lookahead": {"share": 0.1}}).lookahead.share == 0.1
    adapted = load_settings(None, ["game=pettingzoo:pettingzoo.classic.tictactoe_v3"])
    assert (adapted.lookahead.share, adapted.league.opponents) == (0.0, ("heuristic:random",))
    with pytest.raises(ConfigError, match=r"lookahead\.share = 0\.2 needs the positions after each action"):
        load_settings(None, ["game=pettingzoo:pettingzoo.classic.tictactoe_v3", "lookahead.share=0.2"])
