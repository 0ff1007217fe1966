"""``connectfour compare``: learning curves over each other, and grades on the same positions."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from connectfour.errors import RunFolderError, SnapshotError
from connectfour.games.registry import make_game
from connectfour.grading import comparison
from connectfour.grading.comparison import Difference, compare_runs
from connectfour.grading.grade import grade
from connectfour.grading.positions import header_of, load_positions
from connectfour.players.names import parse_player
from connectfour.runs import curves
from connectfour.runs.curves import draw_comparison
from connectfour.runs.folder import RunFolder
from connectfour.runs.progress import append_row
from connectfour.settings.reading import load_settings
from tests.commands import call
from tests.runs import make_run
from tests.test_inventory import ROW

BLUE, VERMILLION, GREEN = "#0072b2", "#d55e00", "#009e73"


def make(path: Path, seed: int, algorithm: str = "ppo") -> Path:
    """Make a run whose main, of iteration 3, depends on ``seed``; a fourth iteration has no checkpoint yet."""
    run = RunFolder(make_run(path, first_seed=seed))
    run.write_settings(load_settings(None, [f"algorithm={algorithm}"]))
    for number in range(1, 5):
        graded = 0.5 + seed / 100 + number / 50
        row = replace(ROW, iteration=number, minutes=number / 4, env_steps=1000 * number, value_preserving=graded)
        append_row(run.progress, row)
    return path


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs, two of which have the same name; it is read-only."""
    folder = tmp_path_factory.mktemp("runs")
    make(folder / "a", 1)
    make(folder / "old" / "a", 7, "apex")
    make(folder / "b", 4)
    return folder


def test_runs_are_graded_on_the_same_positions(runs: Path) -> None:
    """Differences are from the first run; a run is described as of main's checkpoint."""
    first, second, third = compare_runs([runs / "a", runs / "old" / "a", runs / "b"], "dev")
    assert [run.label for run in (first, second, third)] == [f"{runs.name}/a", "old/a", "b"]
    assert (second.algorithm, second.iteration, second.env_steps, second.minutes) == ("apex", 3, 3000, 0.75)
    assert first.difference is None
    verdicts = [
        grade(parse_player(f"snapshot:{run.folder.path}/main", greedy=True), load_positions("dev")).value_preserving
        for run in (first, second, third)
    ]
    for run, mine in zip((second, third), verdicts[1:], strict=True):
        assert run.grade.value_preserving == mine.sum()
        more = sum(one and not other for one, other in zip(mine, verdicts[0], strict=True))
        assert run.difference
        assert run.difference.more == more > 0
        assert run.difference.fewer > 0
        assert run.difference.share == pytest.approx(mine.mean() - verdicts[0].mean())
        low, high = run.difference.interval
        assert low < run.difference.share < high


def test_the_interval_is_of_paired_verdicts() -> None:
    """Two equal grades on positions in which the players rarely differ are told apart better than unpaired ones."""
    few, many = Difference(5, 5, 1000), Difference(200, 200, 1000)
    assert few.share == many.share == 0
    assert few.interval[1] < 0.01 < many.interval[1]
    assert Difference(1, 7, 21).interval == pytest.approx((-0.517, -0.026), abs=5e-4)


def test_the_command_prints_a_table_and_draws_curves(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table fits a terminal and says what the intervals are about; JSON has the same figures."""
    picture = tmp_path / "curves.png"
    positions = tmp_path / "few.csv"
    positions.write_text(
        ",".join(header_of(make_game())) + "\n44,-2,-1,1,2,3,0,-1\n443,-2,-1,1,2,3,0,-1\n4433,-2,1,1,2,3,0,-1\n"
    )
    arguments = ("compare", runs / "a", runs / "b", "--positions", positions, "--output", picture)
    done = call(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    *table, note, where = done.stdout.splitlines()
    assert max(map(len, table)) <= 80
    assert note.startswith("The intervals are about these networks on these positions, not about the seeds")
    assert note.endswith("several seeds of each (connectfour experiment).")
    assert where == f"Learning curves: {picture}"
    with Image.open(picture) as image:
        assert image.format == "PNG"
    monkeypatch.setattr(curves, "draw_comparison", lambda *_: None)
    told = json.loads(call(*arguments, "--json").stdout)
    assert (told["game"], told["positions"], told["picture"]) == ("connect_four", str(positions), str(picture))
    one, other = told["runs"]
    assert (one["run"], one["algorithm"], one["env_steps"], one["minutes"]) == ("a", "ppo", 3000, 0.75)
    share, interval = one["value_preserving_share"], one["value_preserving_interval"]
    assert "difference" not in one
    assert other["only_this_run"] - other["only_the_first_run"] == pytest.approx(3 * other["difference"])
    assert other["value_preserving_share"] - share == pytest.approx(other["difference"])
    shown = " ".join(table)
    for text in (f" {share:.3f} ", "[{:.3f}, {:.3f}]".format(*interval), f" {other['difference']:+.3f} "):
        assert text in shown
    assert "[{:+.3f}, {:+.3f}]".format(*other["difference_interval"]) in shown
    assert sorted(file.name for file in tmp_path.iterdir()) == ["curves.png", "few.csv"]


def test_what_cannot_be_compared_is_refused_in_a_sentence(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is graded or drawn."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a run is graded although the comparison was to be refused")

    monkeypatch.setattr(comparison, "grade", refuse)
    (tmp_path / "again").symlink_to(runs / "a")
    cases: list[tuple[int, str, tuple[object, ...]]] = [
        (3, f"{runs / 'a'} and {tmp_path / 'again'} are the same run", (runs / "a", tmp_path / "again")),
        (3, "nothing does not exist: name a folder written by connectfour train", (runs / "a", runs / "nothing")),
        (2, "a comparison needs two runs or more: name another one", (runs / "a",)),
        (8, "cannot read none.csv", (runs / "a", runs / "b", "--positions", "none.csv")),
        (15, "curves.pdf has an unsupported format", (runs / "a", runs / "b", "--output", "curves.pdf")),
        (15, "none does not exist: create it", (runs / "a", runs / "b", "--output", "none/curves.png")),
    ]
    for code, message, arguments in cases:
        done = call("compare", *arguments, cwd=tmp_path)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (code, "", 1), done.stderr
        assert message in done.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["again"]


def test_a_run_without_a_checkpoint_or_progress_is_refused(runs: Path, tmp_path: Path) -> None:
    """By the name of the file that is missing."""
    shutil.copytree(runs / "b", tmp_path / "b")
    (tmp_path / "b" / "progress.csv").unlink()
    with pytest.raises(RunFolderError, match=r"b/progress.csv has no rows up to main's checkpoint"):
        compare_runs([tmp_path / "b", runs / "a"])
    make_run(tmp_path / "young", networks=())
    RunFolder(tmp_path / "young").write_settings(load_settings())
    with pytest.raises(SnapshotError, match="has no snapshot 'main': it has none yet"):
        compare_runs([tmp_path / "young", runs / "a"])


def test_curves_differ_in_color_and_style(tmp_path: Path) -> None:
    """A grade and a league's size for each run; a single grade is a point. No win rates."""

    def column(name: str, grades: list[float], size: int) -> Path:
        for number, graded in enumerate(grades, start=1):
            row = replace(ROW, iteration=number, minutes=number, env_steps=number, value_preserving=graded)
            append_row(tmp_path / name, replace(row, league_size=size * number))
        return tmp_path / name

    def share(image: Path, color: str) -> float:
        pixels = np.asarray(Image.open(image).convert("RGB")).astype(int)
        near = np.abs(pixels - np.multiply(to_rgb(color), 255)).max(axis=2) < 8
        # Above the legend, in the first row of panels.
        return float(near[: int(len(near) * 0.45)].sum())

    straight = [0.5, 0.6, 0.7, 0.8]
    one, two = column("one", straight, 2), column("two", straight[::-1], 3)
    draw_comparison({"one": one, "two": two, "three": column("three", [0.65] * 4, 1)}, tmp_path / "three.png")
    solid, dashed, point = (share(tmp_path / "three.png", color) for color in (BLUE, VERMILLION, GREEN))
    assert solid > 1.3 * dashed > 400
    assert 0 < point < 200, "its grade never changes"
