"""``connectfour runs``: the runs in a folder, whole and damaged, and that looking at them disturbs none."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from connectfour.cli.runs import age, size
from connectfour.errors import RunFolderError
from connectfour.experiments.layout import ExperimentFolder
from connectfour.runs.folder import RunFolder
from connectfour.runs.inventory import RunReport, list_runs, report_run
from connectfour.runs.progress import ProgressRow, append_row, read_rows
from connectfour.settings.reading import load_settings
from connectfour.system.files import locked
from connectfour.system.sealed import seal
from tests.commands import call

ROW = ProgressRow(
    iteration=1,
    minutes=0.25,
    env_steps=1000,
    env_steps_per_second=99.0,
    win_rate=0.5,
    newest_score=0.5,
    draw_rate=0.0,
    league_size=5,
    league_score=0.5,
    value_preserving=0.6,
    frozen="",
    metrics={"entropy": 1.25},
)
OLD_RUNS = Path(__file__).parent / "fixtures"


def make(path: Path, iterations: int = 3, *, algorithm: str = "ppo", minutes: float = 5.0, checkpoint: int = 2) -> Path:
    """Make a run with rows up to ``iterations``, and a checkpoint of an earlier one; it may train for ``minutes``."""
    run = RunFolder(path)
    run.league.mkdir(parents=True)
    run.write_settings(load_settings(None, [f"algorithm={algorithm}", f"stop.minutes={minutes}"]))
    for number in range(1, iterations + 1):
        append_row(run.progress, replace(ROW, iteration=number, minutes=number / 4, env_steps=1000 * number))
    if checkpoint:
        folder = run.checkpoints / "part_1" / "checkpoint_000000"
        folder.mkdir(parents=True)
        seal(folder, iteration=checkpoint, env_steps=1000 * checkpoint, minutes=checkpoint / 4, league_size=5)
        run.manifest.write_text(json.dumps({"main": {"iteration": checkpoint, "graded": 0.7}}))
    return path


def note(run: Path, text: str) -> None:
    """Leave the note of a command's lock."""
    (run / ".lock").touch()
    (run / ".lock.owner").write_text(text)


def test_what_is_known_of_a_run(tmp_path: Path) -> None:
    """As of its last row; its files' sizes add up."""
    report = report_run(make(tmp_path / "first", algorithm="apex"))
    assert report == RunReport(
        name="first",
        path=str(tmp_path / "first"),
        state="interrupted",
        written=report.written,
        algorithm="apex",
        iteration=3,
        minutes=0.75,
        env_steps=3000,
        win_rate=0.5,
        graded=0.6,
        bytes=sum(file.stat().st_size for file in (tmp_path / "first").rglob("*") if file.is_file()),
    )
    assert report.written.timestamp() == pytest.approx(max(f.stat().st_mtime for f in tmp_path.rglob("*")), abs=1)


def test_the_grade_is_the_latest(tmp_path: Path) -> None:
    """Saving a checkpoint grades main after its row was written."""
    assert report_run(make(tmp_path / "a", 3, checkpoint=3)).graded == 0.7
    assert report_run(make(tmp_path / "b", 3, checkpoint=2)).graded == 0.6


def test_a_run_before_its_first_row(tmp_path: Path) -> None:
    """Has no figures, and one whose progress is gone has those of its checkpoint."""
    young = report_run(make(tmp_path / "young", 0, checkpoint=0))
    assert (young.state, young.algorithm, young.faults) == ("interrupted", "ppo", ())
    assert {young.iteration, young.minutes, young.env_steps, young.win_rate, young.graded} == {None}
    (make(tmp_path / "b") / "progress.csv").unlink()
    left = report_run(tmp_path / "b")
    assert (left.iteration, left.minutes, left.env_steps, left.win_rate, left.graded) == (2, 0.5, 2000, None, 0.7)


def test_done_failed_or_interrupted(tmp_path: Path) -> None:
    """By the limits of ``stop``, which a resume would compare with the checkpoint, and Tune's note of an error."""
    assert report_run(make(tmp_path / "done", 4, minutes=1, checkpoint=4)).state == "done"
    assert report_run(make(tmp_path / "killed", 4, minutes=1, checkpoint=3)).state == "interrupted"
    assert report_run(make(tmp_path / "bare", 4, minutes=1, checkpoint=0)).state == "done"
    failed = make(tmp_path / "failed")
    (failed / "checkpoints" / "part_1" / "error.txt").touch()
    assert report_run(failed).state == "failed"
    (failed / "checkpoints" / "part_10").mkdir()
    (failed / "checkpoints" / "part_9").mkdir()
    (failed / "checkpoints" / "part_9" / "error.txt").touch()
    assert report_run(failed).state == "interrupted", "only the newest part counts, by number"


def test_a_run_is_running_while_its_owner_lives(tmp_path: Path) -> None:
    """A process that has ended does not, even if its parent has not noticed, nor does a younger one with its number."""
    run = make(tmp_path / "run", 4, minutes=1, checkpoint=4)
    here = socket.gethostname()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        note(run, f"process {other.pid} on host {here}\n")
        assert report_run(run).state == "running"
        os.utime(run / ".lock.owner", (0, 0))
        assert report_run(run).state == "done", "the process began after the note was written"
        note(run, f"process {other.pid} on host {here}\n")
        assert other.stdin
        other.stdin.close()
        os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
        assert report_run(run).state == "done", "a zombie"
    assert report_run(run).state == "done"
    note(run, f"process {other.pid} on host not-{here}\n")
    assert report_run(run).state == "running", "nobody here can tell"
    note(run, "")
    assert report_run(run).state == "done"


def test_looking_disturbs_nobody(tmp_path: Path) -> None:
    """No lock is taken, no file is made or changed; the run is running as long as the lock is held."""
    run = make(tmp_path / "run")

    def files() -> dict[Path, tuple[int, int]]:
        return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in tmp_path.rglob("*")}

    before = files()
    assert [report.state for report in list_runs(tmp_path)] == ["interrupted"]
    assert files() == before
    with RunFolder(run).lock():
        before = files()
        assert [report.state for report in list_runs(tmp_path)] == ["running"]
        assert files() == before
    assert [report.state for report in list_runs(tmp_path)] == ["interrupted"]


def _write(name: str, data: bytes) -> Callable[[Path], object]:
    return lambda run: (run / name).write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "fault", "lost"),
    [
        (_write("config.yaml", b"stop: ["), "config.yaml is not valid YAML", {"algorithm"}),
        (_write("config.yaml", b"unknown: 1"), "unknown setting 'unknown'", {"algorithm"}),
        (lambda run: (run / "config.yaml").unlink(), "cannot read", {"algorithm"}),
        (_write("progress.csv", b"\xff\x00"), "progress.csv is damaged", {"win_rate"}),
        (_write("progress.csv", b"step,loss\n1,2\n"), "progress.csv is damaged", {"win_rate"}),
        (_write("progress.csv", b"iteration,win_rate\nx,1\n3,y\n"), None, {"win_rate"}),
        (_write("league/manifest.json", b"{"), "manifest.json is damaged", set()),
        (_write("league/manifest.json", b'{"main": {"iteration": "x", "graded": []}}'), None, set()),
        (_write("checkpoints/part_1/checkpoint_000000/sealed.json", b"{"), None, set()),
        (lambda run: ((run / "progress.csv").unlink(), (run / "progress.csv").mkdir()), "cannot read", {"win_rate"}),
    ],
)
def test_a_damaged_run_is_listed_with_the_rest(
    damage: Callable[[Path], object], fault: str | None, lost: set[str], tmp_path: Path
) -> None:
    """What is lost is None; the fault is a sentence below the table."""
    damage(make(tmp_path / "run"))
    (report,) = list_runs(tmp_path)
    known = report.model_dump()
    figures = ("algorithm", "iteration", "env_steps", "win_rate", "graded")
    assert {name for name in figures if known[name] is None} == lost
    assert len(report.faults) == (fault is not None)
    done = call("runs", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert fault is None or (fault in report.faults[0] and f"run: {report.faults[0]}\n" in done.stdout)


def test_torn_rows_are_left_out(tmp_path: Path) -> None:
    """A last line may be torn anywhere, even within its last number."""
    run = make(tmp_path / "run")
    whole = (run / "progress.csv").read_bytes()
    for length in range(whole.rindex(b"\n", 0, -1) + 2, len(whole)):
        (run / "progress.csv").write_bytes(whole[:length])
        assert [row["iteration"] for row in read_rows(run / "progress.csv")] == ["1", "2"]
    report = report_run(run)
    assert (report.iteration, report.faults) == (2, ())


def test_only_runs_are_listed_and_the_newest_first(tmp_path: Path) -> None:
    """Neither rankings nor files, and by the last file that training wrote, not by locks."""
    for number, name in enumerate(("old", "new")):
        run = make(tmp_path / name)
        note(run, "process 1 on host elsewhere")
        for file in run.rglob("*"):
            os.utime(file, (1e9 + number, 1e9 + number))
        (run / ".lock").touch()
    os.utime(tmp_path / "old" / ".lock.owner")
    (tmp_path / "ranking").mkdir()
    (tmp_path / "ranking" / "matches.jsonl").touch()
    (tmp_path / "notes.txt").touch()
    assert [(report.name, report.written.timestamp()) for report in list_runs(tmp_path)] == [
        ("new", 1e9 + 1),
        ("old", 1e9),
    ]
    with pytest.raises(RunFolderError, match=r"notes.txt is a file: name a folder of runs"):
        list_runs(tmp_path / "notes.txt")


def test_the_command_prints_a_table_that_fits_a_terminal_and_json(tmp_path: Path) -> None:
    """With the same figures; sizes are numbers of bytes in JSON."""
    make(tmp_path / "runs" / "quick-20260101-120000", algorithm="apex")
    done = call("runs", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert max(map(len, done.stdout.splitlines())) <= 80
    for text in ("interrupted", "apex", "3,000", "0.50", "0.600", " s ", " kB "):
        assert text in done.stdout
    (run,) = json.loads(call("runs", "--json", cwd=tmp_path).stdout)["runs"]
    (report,) = list_runs(tmp_path / "runs")
    assert run == {**report.model_dump(mode="json"), "path": "runs/quick-20260101-120000"}
    assert isinstance(run["bytes"], int)


def test_a_folder_without_runs(tmp_path: Path) -> None:
    """An empty one says so; a missing one is refused in a sentence."""
    done = call("runs", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"There are no runs in {tmp_path}: start one with connectfour train --run-dir")
    assert json.loads(call("runs", tmp_path, "--json").stdout) == {"runs": [], "experiments": []}
    done = call("runs", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (3, "")
    assert (
        done.stderr == "connectfour: runs does not exist: name a folder of runs, or start one with connectfour train\n"
    )


@pytest.mark.parametrize("name", ["ppo", "apex"])
def test_runs_of_an_earlier_release_are_listed(name: str, tmp_path: Path) -> None:
    """With all their figures."""
    with tarfile.open(OLD_RUNS / f"{name}_run_0.1.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    (report,) = list_runs(tmp_path)
    assert (report.algorithm, report.faults) == (name, ())
    assert None not in {report.iteration, report.minutes, report.env_steps, report.win_rate, report.graded}


def test_ages_and_sizes_are_short() -> None:
    """In the largest unit, never rounded up to the next."""
    assert [age(seconds) for seconds in (-5, 59.9, 60, 3599, 3600, 86_399, 5.5 * 86_400)] == [
        *("0 s", "59 s", "1 min", "59 min", "1 h", "23 h", "5 d")
    ]
    assert [size(count) for count in (0, 999, 1000, 9949, 9951, 999_499, 999_500, 123_456_789, 2_500_000_000_000)] == [
        *("0 bytes", "999 bytes", "1.0 kB", "9.9 kB", "10 kB", "999 kB", "1.0 MB", "123 MB", "2.5 TB")
    ]


def test_experiments_are_listed_with_their_steps(tmp_path: Path) -> None:
    """Their state is that of their steps, whatever the files hold."""
    states = {"done": {"done": 3}, "failed": {"done": 2, "failed": 1}, "half": {"done": 1, "waiting": 2}, "odd": ["x"]}
    for name, found in states.items():
        folder = ExperimentFolder(tmp_path / name)
        folder.path.mkdir()
        folder.settings.write_text("name: x")
        folder.status.write_text(json.dumps({"game": "connect_four", "steps": 3, "states": found}))
    listed = json.loads(call("runs", tmp_path, "--json").stdout)["experiments"]
    assert {each["name"]: (each["state"], each["done"], each["steps"]) for each in listed} == {
        "done": ("done", 3, 3),
        "failed": ("failed", 2, 3),
        "half": ("interrupted", 1, 3),
        "odd": ("interrupted", 0, 3),
    }
    (tmp_path / "half" / "status.json").unlink()
    with locked(ExperimentFolder(tmp_path / "half").lock, RuntimeError):
        table = call("runs", tmp_path).stdout
    assert re.search(r"half +running +\d+ s +experiment +-", table)
    assert re.search(r"failed +failed +\d+ s +experiment +2/3 steps", table)
