"""Averages over the runs of an experiment, comparisons of its variants, and plots."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest
from numpy.testing import assert_allclose

from connectfour.errors import ConfigError, ExperimentError
from connectfour.experiments.analysis import plots
from connectfour.experiments.analysis.averages import AverageResult, write_averages
from connectfour.experiments.analysis.plots import draw_metric, metric_label, plot_file
from connectfour.experiments.analysis.results import AXES, Curve, read_results
from connectfour.experiments.analysis.variant_curves import VariantCurves, average
from connectfour.experiments.layout import ExperimentFolder
from connectfour.experiments.metrics import training_metrics
from connectfour.settings.reading import LEARNERS, run_settings
from tests.experiments import METRICS, read_rows, write_results, write_run

Row = dict[str, str]


def write(
    folder: Path,
    variants: Sequence[str] = ("ppo",),
    seeds: Sequence[int] = (0, 1),
    plots: Sequence[str] = (),
    condition: str | None = None,
    primary: str = "value_preserving",
) -> AverageResult:
    return write_averages(folder, variants, seeds, primary=primary, plots=plots, condition=condition)


def points(*triples: tuple[float, float, float], metric: str = "value_preserving") -> list[dict[str, Any]]:
    """Rows of (env steps, minutes, value)."""
    return [{"env_steps": steps, "minutes": minutes, metric: value} for steps, minutes, value in triples]


def averages(folder: Path, **wanted: str) -> list[Row]:
    return _chosen(folder / "average.csv", wanted)


def comparisons(folder: Path, **wanted: str) -> list[Row]:
    return _chosen(folder / "probability_of_improvement.csv", wanted)


def _chosen(file: Path, wanted: dict[str, str]) -> list[Row]:
    return [row for row in read_rows(file) if wanted.items() <= row.items()]


@pytest.fixture(scope="module")
def league(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, AverageResult]:
    """Two variants: of ppo, one run was not evaluated; of apex, one has nothing."""
    folder = write_results(
        tmp_path_factory.mktemp("league"), ("ppo", "apex"), range(4), unmet=["ppo-2"], failed=["apex-3"]
    )
    chosen = ("value_preserving", "score:minimax:2", "entropy")
    return folder, write(folder, ("ppo", "apex"), range(4), chosen, "win_rate > 0.7")


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The figures that are saved."""
    figures: list[Any] = []
    monkeypatch.setattr(plots, "save_figure", lambda figure, _file: figures.append(figure))
    return figures


def test_curves_are_interpolated_between_a_runs_own_points(tmp_path: Path) -> None:
    """By hand: at 150 env steps, one run is halfway from 0.5 to 0.7, and the other a quarter from 0.6 to 1.0."""
    write_run(tmp_path, "ppo", 0, evaluated=points((100, 1, 0.5), (200, 2, 0.7), (300, 3, 0.8)))
    write_run(tmp_path, "ppo", 1, evaluated=points((50, 1, 0.5), (100, 2, 0.6), (300, 4, 1.0)))
    first, second = (read_results(ExperimentFolder(tmp_path), ["ppo"], [seed])[0] for seed in (0, 1))
    at = np.array([100.0, 150, 300])
    assert_allclose(first.evaluated["value_preserving"].at("env_steps", at), [0.5, 0.6, 0.8])
    assert_allclose(second.evaluated["value_preserving"].at("env_steps", at), [0.6, 0.7, 1.0])
    write(tmp_path)
    rows = averages(tmp_path, axis="env_steps")
    by_place = {int(row["at"]): row for row in rows}
    place = 205  # on the grid: a tenth from 200 to 300, and 105 of 200 from 100 to 300
    assert_allclose(float(by_place[place]["mean"]), (0.705 + (0.6 + 0.4 * 105 / 200)) / 2, rtol=1e-5)
    assert_allclose(float(by_place[place]["sd"]), (0.81 - 0.705) / np.sqrt(2), rtol=1e-5)
    over_minutes = averages(tmp_path, axis="minutes")
    assert float(over_minutes[-1]["at"]) == 3
    assert_allclose(float(over_minutes[-1]["mean"]), (0.8 + 0.8) / 2)


def test_a_grid_lies_between_the_last_start_and_the_first_end(tmp_path: Path) -> None:
    """Of all runs of the variant, both included; nothing is continued beyond a run's ends."""
    write_run(tmp_path, "ppo", 0, evaluated=points((100, 1, 0.5), (480, 5, 0.9)))
    write_run(tmp_path, "ppo", 1, evaluated=points((130, 0.5, 0.4), (520, 4.5, 0.8)))
    write(tmp_path)
    for axis, first, last in (("env_steps", 130, 480), ("minutes", 1, 4.5)):
        places = [float(row["at"]) for row in averages(tmp_path, axis=axis)]
        assert (places[0], places[-1], len(places)) == (first, last, 20)
        assert places == sorted(places)


def test_variants_are_compared_where_the_first_of_all_runs_ends(tmp_path: Path) -> None:
    """At equal env steps and at equal minutes; that place is in every variant's grid."""
    write_run(tmp_path, "slow", 0, evaluated=points((0, 0, 0.5), (777, 9, 0.8)))
    write_run(tmp_path, "slow", 1, evaluated=points((0, 0, 0.5), (800, 8, 0.9)))
    write_run(tmp_path, "fast", 0, evaluated=points((0, 0, 0.5), (2_000, 7.123, 0.9)))
    write_run(tmp_path, "fast", 1, evaluated=points((0, 0, 0.5), (3_000, 9, 1.0)))
    write(tmp_path, ("slow", "fast"))
    for axis, common in (("env_steps", "777"), ("minutes", "7.1230")):
        (row,) = comparisons(tmp_path, axis=axis)
        assert row["at"] == common
        means = {name: averages(tmp_path, axis=axis, variant=name, at=common) for name in ("slow", "fast")}
        (slow,), (fast,) = means["slow"], means["fast"]
        assert_allclose(float(row["difference"]), float(slow["mean"]) - float(fast["mean"]), rtol=1e-4)
    (row,) = comparisons(tmp_path, axis="env_steps")
    fast_values = 0.5 + 0.4 * 777 / 2_000, 0.5 + 0.5 * 777 / 3_000
    assert_allclose(float(row["difference"]), (0.8 + 0.5 + 0.4 * 777 / 800) / 2 - sum(fast_values) / 2, rtol=1e-4)
    assert (row["variant"], row["other"], row["probability"]) == ("slow", "fast", "1")
    assert_allclose(float(row["p_value"]), 1 / 3, rtol=1e-5)


def test_every_pair_is_compared_and_corrected_for_the_others(tmp_path: Path) -> None:
    """By Holm's rule, over the pairs of one metric on one axis."""
    metrics = ("value_preserving", "score")
    write_results(tmp_path, {"a": 0.8, "b": 0.9, "c": 0.901}, range(4), metrics=metrics)
    write(tmp_path, ("a", "b", "c"), range(4))
    for metric in metrics:
        for axis in AXES:
            rows = comparisons(tmp_path, metric=metric, axis=axis)
            assert [(row["variant"], row["other"]) for row in rows] == [("a", "b"), ("a", "c"), ("b", "c")]
    rows = comparisons(tmp_path, metric="value_preserving", axis="minutes")
    p_values = [float(row["p_value"]) for row in rows]
    assert_allclose(p_values[:2], 2 / 70, rtol=1e-4)
    assert_allclose(
        [float(row["p_value_corrected"]) for row in rows], [6 / 70, 6 / 70, max(p_values[2], 6 / 70)], rtol=1e-4
    )


def test_runs_without_a_file_are_named_and_not_counted(league: tuple[Path, AverageResult]) -> None:
    folder, result = league
    assert result.missing == {"ppo-2": "it did not meet the condition", "apex-3": "no train.csv"}
    counted = {
        (row["metric"], row["variant"]): f"{row['runs']} of {row['of']}" for row in averages(folder, axis="minutes")
    }
    assert counted["value_preserving", "ppo"] == counted["value_preserving", "apex"] == "3 of 4"
    assert counted["entropy", "ppo"] == "4 of 4"
    assert counted["entropy", "apex"] == "3 of 4"
    (row,) = comparisons(folder, metric="score", axis="minutes")
    assert (row["runs"], row["runs_of_other"]) == ("3", "3")


def test_tables_begin_with_the_game_and_the_primary_metric(league: tuple[Path, AverageResult]) -> None:
    """Evaluated metrics and plotted ones are averaged, evaluated ones compared."""
    folder, result = league
    assert [path.relative_to(folder).as_posix() for path in result.paths] == [
        "average.csv",
        "probability_of_improvement.csv",
        "plots/value_preserving.png",
        "plots/score-minimax-2.png",
        "plots/entropy.png",
    ]
    averaged, compared = averages(folder), comparisons(folder)
    for rows in (averaged, compared):
        assert next(iter(rows[0].items())) == ("game", "connect_four")
    assert list(dict.fromkeys(row["metric"] for row in averaged)) == [*METRICS, "entropy"]
    assert list(dict.fromkeys(row["metric"] for row in compared)) == list(METRICS)
    write(folder, ("ppo", "apex"), range(4), primary="score")
    assert comparisons(folder)[0]["metric"] == averages(folder)[0]["metric"] == "score"


def test_the_same_results_give_the_same_bytes(tmp_path: Path) -> None:
    write_results(tmp_path, ["ppo", "apex"], range(3), metrics=["score"])
    texts = []
    for _ in range(2):
        write(tmp_path, ("ppo", "apex"), range(3))
        texts.append([(tmp_path / name).read_bytes() for name in ("average.csv", "probability_of_improvement.csv")])
    assert texts[0] == texts[1]


def test_one_run_of_one_variant_has_means_and_no_intervals(tmp_path: Path) -> None:
    write_results(tmp_path, ["ppo"], [0], metrics=["score"])
    result = write(tmp_path, seeds=[0], plots=["score"])
    assert not result.missing
    row = averages(tmp_path, metric="score", axis="minutes")[-1]
    last = read_rows(tmp_path / "results" / "ppo-0" / "eval.csv")[-1]
    assert_allclose(float(row["mean"]), float(last["value"]), rtol=1e-5)
    assert row["mean"] == row["iqm"]
    assert {row[name] for name in ("sd", "mean_low95", "mean_high95", "iqm_low95", "iqm_high95")} == {""}
    assert comparisons(tmp_path) == []
    assert (tmp_path / "plots" / "score.png").is_file()


@pytest.mark.usefixtures("drawn")
def test_rows_without_a_value_are_no_points(tmp_path: Path) -> None:
    """Before the first grade, a row has NaN; a learner may report nothing at all."""
    rows = points((100, 1, 0.5), (200, 2, 0.7), (300, 3, 0.9), metric="value_preserving_dev")
    rows[0]["value_preserving_dev"], rows[1]["value_preserving_dev"] = "nan", ""
    write_run(tmp_path, "ppo", 0, train=[{**row, "entropy": "nan", "win_rate": 0.5} for row in rows])
    (run,) = read_results(ExperimentFolder(tmp_path), ["ppo"], [0])
    assert run.trained["value_preserving_dev"].env_steps.tolist() == [300]
    assert run.trained["win_rate"].env_steps.tolist() == [100, 200, 300]
    assert "entropy" not in run.trained
    write(tmp_path, seeds=[0], plots=["value_preserving_dev"])
    (row,) = averages(tmp_path, axis="env_steps")
    assert (row["at"], row["mean"]) == ("300", "0.9")


def test_evaluated_metrics_are_kept_apart(league: tuple[Path, AverageResult]) -> None:
    """All are in one column of ``eval.csv``."""
    (run,) = read_results(ExperimentFolder(league[0]), ["apex"], [1])
    rows = read_rows(league[0] / "results" / "apex-1" / "eval.csv")
    for metric in METRICS:
        own = [row for row in rows if row["metric"] == metric]
        curve = run.evaluated[metric]
        assert len(own) == 10
        assert curve.values.tolist() == [float(row["value"]) for row in own]
        assert curve.minutes.tolist() == [float(row["minutes"]) for row in own]


def test_several_rows_at_one_place_give_the_last(tmp_path: Path) -> None:
    """An iteration may take no env steps."""
    curve = Curve(np.array([0.0, 10, 10, 20]), np.array([0.0, 1, 2, 3]), np.array([0.0, 0.2, 0.4, 0.6]))
    assert_allclose(curve.at("env_steps", np.array([5.0, 10, 15])), [0.2, 0.4, 0.5])
    assert_allclose(curve.at("minutes", np.array([1.0, 2])), [0.2, 0.4])


def test_runs_that_share_no_place_are_not_averaged(tmp_path: Path, drawn: list[Any]) -> None:
    """Here, each has one evaluated policy, at its own end; they are drawn all the same."""
    write_run(tmp_path, "ppo", 0, evaluated=points((100, 1, 0.5)))
    write_run(tmp_path, "ppo", 1, evaluated=points((110, 1, 0.7)))
    write_run(tmp_path, "apex", 0, evaluated=points((100, 1, 0.8)))
    write_run(tmp_path, "apex", 1, evaluated=points((100, 1, 0.9)))
    write(tmp_path, ("ppo", "apex"), plots=["value_preserving"])
    assert averages(tmp_path, axis="env_steps", variant="ppo") == []
    (row,) = averages(tmp_path, axis="minutes", variant="ppo")
    assert (row["at"], row["mean"]) == ("1.0000", "0.6")
    assert comparisons(tmp_path, axis="env_steps") == []
    (compared,) = comparisons(tmp_path, axis="minutes")
    assert_allclose(float(compared["difference"]), -0.25)
    lines = drawn[0].axes[0].lines
    assert len(lines) == 2 * (2 + 1) + 1  # runs and a mean each, and one interval at a point
    assert lines[-1].get_marker() == "o"  # a line of one point would not be seen


def test_a_variant_that_starts_after_the_common_end_is_not_compared(tmp_path: Path) -> None:
    """Nor continued back to it; the others are compared."""
    for seed in (0, 1):
        write_run(tmp_path, "early", seed, evaluated=points((0, 0, 0.5), (100, 9, 0.6)))
        write_run(tmp_path, "middle", seed, evaluated=points((50, 0, 0.5), (400, 9, 0.7)))
        write_run(tmp_path, "late", seed, evaluated=points((200, 0, 0.5), (900, 9, 0.8)))
    write(tmp_path, ("early", "middle", "late"))
    (row,) = comparisons(tmp_path, axis="env_steps")
    assert (row["variant"], row["other"], row["at"]) == ("early", "middle", "100")
    assert averages(tmp_path, axis="env_steps", variant="late")[0]["at"] == "200"
    assert len(comparisons(tmp_path, axis="minutes")) == 3


@pytest.mark.usefixtures("drawn")
def test_an_experiment_without_results_has_empty_tables(tmp_path: Path) -> None:
    """Nothing was evaluated yet, so any metric may still come."""
    result = write(tmp_path, plots=["value_preserving", "score:minimax:2", "entropy"])
    assert result.missing == {"ppo-0": "no train.csv", "ppo-1": "no train.csv"}
    assert averages(tmp_path) == comparisons(tmp_path) == []
    assert result.paths == (tmp_path / "average.csv", tmp_path / "probability_of_improvement.csv")
    assert (tmp_path / "plots").is_dir()
    write_results(tmp_path, ["ppo"], [0], unmet=["ppo-0"])
    result = write(tmp_path, plots=["score:minimax:2", "score", "entropy"])
    assert result.paths[2:] == (tmp_path / "plots" / "entropy.png",)


@pytest.mark.parametrize(
    ("wrong", "close"), [("win_rat", "win_rate"), ("score:minimax:3", "score:minimax:[24]"), ("frozen", "score")]
)
def test_unknown_metrics_are_refused_with_the_closest(
    league: tuple[Path, AverageResult], wrong: str, close: str
) -> None:
    with pytest.raises(ConfigError, match=f"unknown metric '{wrong}': did you mean '{close}'"):
        write(league[0], ("ppo", "apex"), range(4), plots=["score", wrong])


@pytest.mark.parametrize(
    ("name", "damage", "what"),
    [
        ("train.csv", b"game,minutes\nconnect_four,1\n", "it has no column env_steps"),
        ("train.csv", b"", "it has no column env_steps"),
        ("train.csv", b"\xff\xfe\x00", "it is not CSV"),
        ("eval.csv", b"env_steps,minutes,metric,value\n1,1,score", "line 2 has 3 of 4 cells"),
        ("eval.csv", b"env_steps,minutes,metric,value\n1,1,score,0.5.1\n", "column value: could not convert"),
        ("eval.csv", b"env_steps,minutes,metric,value\n2,1,score,1\n1,1,score,1\n", "env_steps or minutes of score go"),
        ("eval.csv", b"env_steps,minutes,metric,value\n,1,score,1\n", "env_steps or minutes of score go back or are"),
    ],
)
def test_a_damaged_file_is_named_in_a_sentence(tmp_path: Path, name: str, damage: bytes, what: str) -> None:
    write_results(tmp_path, ["ppo"], [0], points=2, iterations=10)
    file = tmp_path / "results" / "ppo-0" / name
    file.write_bytes(damage)
    with pytest.raises(ExperimentError) as caught:
        write(tmp_path, seeds=[0])
    assert str(caught.value).startswith(f"{file} is damaged ({what}")
    assert str(caught.value).endswith("): delete it and run the experiment again")
    assert not (tmp_path / "average.csv").exists()


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """Such as a folder of that name."""
    (tmp_path / "results" / "ppo-0" / "eval.csv").mkdir(parents=True)
    with pytest.raises(ExperimentError, match=r"^cannot read .*eval\.csv: Is a directory; check"):
        write(tmp_path, seeds=[0])


def test_only_the_runs_own_tables_are_read(tmp_path: Path) -> None:
    """It is one step of a graph of commands; other files may be half written."""
    write_results(tmp_path, ["ppo"], [0, 1], metrics=["score"])
    (tmp_path / "average.csv").write_text("old")
    (tmp_path / "experiment.yaml").write_bytes(b"\xff")
    (tmp_path / "results" / "ppo-7").mkdir()
    (tmp_path / "results" / "ppo-7" / "eval.csv").write_text("damaged")
    assert not write(tmp_path).missing
    assert len(averages(tmp_path)) == len(AXES) * 20


def test_a_plot_shows_means_intervals_and_single_runs(league: tuple[Path, AverageResult], drawn: list[Any]) -> None:
    """Over env steps and over minutes, in the field's terms; it names the runs that count."""
    write(league[0], ("ppo", "apex"), range(4), ["score", "entropy"], "win_rate > 0.7")
    score, entropy = drawn
    left, right = score.axes
    assert [panel.get_xlabel() for panel in (left, right)] == ["env steps", "minutes of training"]
    assert left.get_ylabel() == "points per game\nagainst the ladder"
    assert [text.get_text() for text in score.legends[0].get_texts()] == ["ppo (3 of 4 runs)", "apex (3 of 4 runs)"]
    assert score.get_suptitle().endswith("\nruns that met win_rate > 0.7 only")
    assert "runs that met" not in entropy.get_suptitle()
    for panel, axis in zip((left, right), AXES, strict=True):
        assert len(panel.collections) == 2
        assert len(panel.lines) == 2 * (3 + 1)
        mean = panel.lines[3]
        rows = averages(league[0], metric="score", axis=axis, variant="ppo")
        assert_allclose(mean.get_ydata(), [float(row["mean"]) for row in rows], rtol=1e-5)


def test_a_variant_looks_the_same_in_all_plots(tmp_path: Path, drawn: list[Any]) -> None:
    """Even in those of a metric that the variants before it do not have."""
    rows = points((0, 0, 0.5), (10, 1, 0.6), metric="win_rate")
    write_run(tmp_path, "ppo", 0, train=rows)
    write_run(tmp_path, "apex", 0, train=[{**row, "q_loss": 0.1} for row in rows])
    write(tmp_path, ("ppo", "apex"), [0], ["win_rate", "q_loss"])
    both, alone = (figure.axes[0].lines for figure in drawn)
    assert (both[1].get_color(), both[1].get_linestyle()) == (alone[0].get_color(), alone[0].get_linestyle())
    assert both[0].get_color() != both[1].get_color()


def test_plots_of_many_rows_keep_the_means_in_front(tmp_path: Path, drawn: list[Any]) -> None:
    """The mean is drawn, not the interquartile mean; no title speaks of a condition that all runs met."""
    write_results(tmp_path, ["ppo"], range(4), iterations=200, metrics=["score"])
    write(tmp_path, ["ppo"], range(4), ["win_rate", "score"], "win_rate > 0.1")
    assert not any("runs that met" in figure.get_suptitle() for figure in drawn)
    *single, mean = drawn[0].axes[0].lines
    assert all(len(line.get_xdata()) == 40 and line.get_zorder() < mean.get_zorder() for line in single)
    means = [float(row["mean"]) for row in averages(tmp_path, metric="win_rate", axis="env_steps")]
    assert_allclose(mean.get_ydata(), means, rtol=1e-5)
    runs = read_results(ExperimentFolder(tmp_path), ["ppo"], range(4))
    ends = [run.trained["win_rate"].env_steps[-1] for run in runs]
    assert [line.get_xdata()[-1] for line in single] == ends


@pytest.mark.parametrize("variants", [1, 6])
def test_plots_are_pictures(tmp_path: Path, variants: int) -> None:
    """Whose size does not depend on how much is in them."""
    names = [f"width={2**number}" for number in range(variants)]
    write_results(tmp_path, names, [0, 1], points=3, iterations=10, metrics=["score"])
    folder, found = ExperimentFolder(tmp_path), read_results(ExperimentFolder(tmp_path), names, [0, 1])
    file = tmp_path / "plot.png"
    panels: dict[Any, list[VariantCurves]] = {axis: average(found, "score", axis) for axis in AXES}
    draw_metric("score", panels, names, 2, file)
    assert matplotlib.image.imread(file).shape == (506, 1210, 4)
    assert plot_file(folder, "score:minimax:2").name == "score-minimax-2.png"


def test_every_metric_of_every_learner_has_a_label() -> None:
    """Not its column's name."""
    for learner in LEARNERS:
        for metric in training_metrics(run_settings(learner)(algorithm=learner)):
            assert metric_label(metric) != metric
    assert metric_label("score:minimax:2") == "points per game\nagainst minimax:2"
