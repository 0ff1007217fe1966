"""What a training run records and reports, on a terminal and in a log."""

from __future__ import annotations

import csv
import io
import math
import pickle
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from callbacks.progress import ProgressCallback, row_of
from connectfour.learning.apex.settings import ApexRunSettings
from connectfour.learning.ppo.settings import PPORunSettings
from connectfour.rllib.parted_algorithm import ENDED
from connectfour.runs.curves import draw_learning
from connectfour.runs.folder import RunFolder
from connectfour.runs.progress import minutes_left, rewind
from connectfour.settings.schema import RunSettings, StopSettings
from connectfour.system.notices import Notices
from connectfour.system.observer import ConsoleObserver

PPO = PPORunSettings(stop=StopSettings(minutes=5))


def result(iteration: int, *, frozen: str | None = None, graded: float = math.nan) -> dict[str, Any]:
    """A result as the algorithm reports it."""
    return {
        "training_iteration": iteration,
        "time_total_s": 6.0 * iteration,
        "env_steps": 1000 * iteration,
        "env_steps_per_second": 2000.0,
        "win_rate": 0.5,
        "newest_score": 0.4,
        "draw_rate": 0.1,
        "league_size": 6,
        "league_score": 1.5,
        "value_preserving": graded,
        "frozen": frozen,
        "learners": {"main": {"policy_loss": -0.1, "vf_loss": 0.2, "entropy": 1.3}},
    }


def show(
    file: Path,
    results: list[dict[str, Any]],
    seconds: list[float],
    *,
    terminal: bool,
    settings: RunSettings = PPO,
) -> str:
    """Run results through the callback and return what was printed."""
    console = Console(file=io.StringIO(), force_terminal=terminal, width=160)
    clock = iter(seconds)
    with ConsoleObserver(console, lambda: next(clock)) as observer:
        callback = ProgressCallback(RunFolder(file.parent), settings, observer)
        for each in results:
            callback.on_trial_result(0, [], None, each)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_csv_has_one_row_per_iteration_and_one_header(tmp_path: Path) -> None:
    """Even if another process resumes the run."""
    file = tmp_path / "progress.csv"
    show(file, [result(1), result(2)], [0.0] * 9, terminal=False)
    show(file, [result(3, frozen="v0001")], [0.0] * 9, terminal=False)
    rows = list(csv.DictReader(file.open()))
    assert [row["iteration"] for row in rows] == ["1", "2", "3"]
    assert rows[2]["frozen"] == "v0001"
    assert rows[0]["entropy"] == "1.3"


def test_a_resumed_run_drops_the_rows_that_its_checkpoint_does_not_know(tmp_path: Path) -> None:
    """Those after it, and a torn last line."""
    file = tmp_path / "progress.csv"
    show(file, [result(i) for i in range(1, 6)], [0.0] * 99, terminal=False)
    with file.open("a") as stream:
        stream.write("6,0.1,30")
    rewind(file, 6, PPO.metrics)
    assert [row["iteration"] for row in csv.DictReader(file.open())] == ["1", "2", "3", "4", "5"]
    rewind(file, 3, PPO.metrics)
    show(file, [result(4)], [0.0] * 9, terminal=False)
    assert [row["iteration"] for row in csv.DictReader(file.open())] == ["1", "2", "3", "4"]


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"step,loss\n1,2\n"])
def test_a_file_with_other_columns_is_put_aside(tmp_path: Path, content: bytes) -> None:
    """As a kill at the wrong moment or another release may leave it."""
    file = tmp_path / "progress.csv"
    file.write_bytes(content)
    rewind(file, 3, PPO.metrics)
    show(file, [result(4)], [0.0] * 9, terminal=False)
    assert [row["iteration"] for row in csv.DictReader(file.open())] == ["4"]
    assert (tmp_path / "progress.old.csv").read_bytes() == content


def test_plain_lines_come_every_ten_seconds_and_for_each_freeze(tmp_path: Path) -> None:
    """A log is not flooded, and no freeze is missed."""
    results = [result(1), result(2), result(3, frozen="v0001"), result(4), result(5)]
    lines = show(tmp_path / "p.csv", results, [0, 3, 5, 6, 16], terminal=False).splitlines()
    assert [line.split(":")[0] for line in lines] == ["iteration 1", "iteration 3", "iteration 5"]
    assert lines[1].endswith("froze v0001")
    for part in (
        "1,000 env steps",
        "2,000/s",
        "win rate 0.50 (newest 0.40)",
        "league 6",
        "entropy 1.30",
        "graded -",
        "4:54 left",
    ):
        assert part in lines[0]


def test_a_terminal_gets_a_table(tmp_path: Path) -> None:
    """With every figure that the plain line has."""
    screen = show(tmp_path / "p.csv", [result(7)], [0.0] * 9, terminal=True)
    for part in ("iteration", "7,000", "2,000", "0.50", "entropy", "4:18 left"):
        assert part in screen


def test_time_left_is_that_of_the_nearest_limit() -> None:
    """Minutes by the clock, env steps at the present speed; the league's size cannot be predicted."""
    row = row_of(result(10), PPO.metrics)
    assert minutes_left(row, StopSettings(minutes=5)) == 4
    assert minutes_left(row, StopSettings(minutes=5, env_steps=130_000)) == 1
    assert minutes_left(row, StopSettings(minutes=None, league_size=10)) is None
    assert minutes_left(row, StopSettings(minutes=0.5)) == 0


def test_tune_can_store_it(tmp_path: Path) -> None:
    """A console cannot be pickled; the callback can, and its copy writes to the same file."""
    callback = ProgressCallback(RunFolder(tmp_path), PPO, ConsoleObserver(Console()))
    copy = pickle.loads(pickle.dumps(callback))  # noqa: S301  # made a moment ago
    copy.on_trial_result(0, [], None, result(1))
    assert (tmp_path / "progress.csv").is_file()


def test_learning_is_drawn_from_the_table(tmp_path: Path) -> None:
    """A picture that changes with what is in the table, and none without rows."""
    file, picture = tmp_path / "progress.csv", tmp_path / "learning.png"
    file.write_text("")
    draw_learning(file, picture, PPO.metrics)
    assert not picture.exists()
    show(file, [result(1), result(2, graded=0.5), result(3, graded=0.6)], [0.0] * 9, terminal=False)
    draw_learning(file, picture, PPO.metrics)
    first = picture.read_bytes()
    assert first.startswith(b"\x89PNG")
    show(file, [result(4, graded=0.9)], [0.0] * 9, terminal=False)
    draw_learning(file, picture, PPO.metrics)
    assert picture.read_bytes() != first


def test_notices_of_the_trainer_are_passed_on_once(tmp_path: Path) -> None:
    """Between two results, too; those of an earlier part of the run are old news."""
    run = RunFolder(tmp_path)
    run.league.mkdir()
    Notices(run.notices).say("env runner 1 died")
    console = Console(file=io.StringIO(), width=160)
    callback = ProgressCallback(run, PPO, ConsoleObserver(console))
    Notices(run.notices).say("replay shard 2 died:\nan empty one has taken its place")
    callback.on_step_end(0, [])
    callback.on_step_end(0, [])
    callback.on_trial_result(0, [], None, result(7))
    Notices(run.notices).say("env runner 1 failed")
    callback.on_step_end(0, [])
    assert isinstance(console.file, io.StringIO)
    first, *_, last = console.file.getvalue().splitlines()
    assert first == "replay shard 2 died: an empty one has taken its place"
    assert last == "after iteration 7: env runner 1 failed"
    assert console.file.getvalue().count("env runner 1") == 1


def test_the_log_says_who_left_the_pool(tmp_path: Path) -> None:
    """With the freeze that took the place."""
    frozen = {**result(2, frozen="v0009"), "retired": ["random", "v0001"]}
    printed = show(tmp_path / "progress.csv", [frozen], [0.0] * 9, terminal=False)
    assert "v0009 takes the place of random and v0001" in printed.splitlines()


def test_a_result_that_only_asks_for_a_checkpoint_is_no_row(tmp_path: Path) -> None:
    """It repeats the last one."""
    show(tmp_path / "progress.csv", [result(1), {**result(1), ENDED: "no progress"}], [0.0] * 9, terminal=False)
    assert len((tmp_path / "progress.csv").read_text().splitlines()) == 2


def test_each_learner_shows_its_own_figures(tmp_path: Path) -> None:
    """And draws them; those of the other are neither shown nor drawn."""
    apex = [{**result(number), "learners": {"main": {"q_loss": 0.0012, "td_error": 0.12}}} for number in (1, 2)]
    settings = ApexRunSettings()
    printed = show(tmp_path / "progress.csv", apex, [0.0] * 9, terminal=False, settings=settings)
    assert "Q loss 0.0012, TD error 0.120, " in printed
    assert "entropy" not in printed
    assert "nan" not in printed
    draw_learning(tmp_path / "progress.csv", tmp_path / "learning.png", settings.metrics)
    assert (tmp_path / "learning.png").is_file()
