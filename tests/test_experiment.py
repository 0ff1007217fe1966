"""Whole experiments through the command: from nothing to a report, and what the second command does."""

from __future__ import annotations

import csv
import json
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from connectfour.experiments.execution.graph import Graph, Step
from connectfour.experiments.execution.receipts import Receipts
from connectfour.experiments.layout import ExperimentFolder
from connectfour.runs.folder import RunFolder
from tests.commands import Finished, call, call_process, command

TINY = """\
question: Does anything happen?
train:
  stop: {minutes: null, env_steps: 4000}
  network: {width: 16}
  rollout: {envs_per_runner: 32, env_runners: 0}
  ppo: {batch_size: 1000, minibatch_size: 500, epochs: 1}
  lookahead: {share: 0}
  grading: {every: 0}
runs: 1
variants:
  narrow: {}
evaluation: {points: 2, games: 2, opponents: [heuristic:random]}
examples: {opponent: heuristic:random, games: 1}
league: {games: 2}
plots: [value_preserving]
retries: 0
"""


def write(folder: Path, text: str = TINY) -> Path:
    """Write an experiment file."""
    file = folder / "tiny.yaml"
    file.write_text(text)
    return file


def receipts(folder: Path) -> dict[str, float]:
    """Return when each step's receipt was written."""
    notes = (folder / "steps").glob("*.json")
    return {note.stem: note.stat().st_mtime_ns for note in notes if not note.name.endswith(".begun.json")}


def rows_of(file: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file."""
    with file.open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def tiny(ray_session: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Finished]:
    """A finished experiment of one run, in ``runs/tiny``."""
    folder = tmp_path_factory.mktemp("experiment")
    done = call("experiment", "run", write(folder), cwd=folder)
    return folder / "runs" / "tiny", done


@pytest.mark.slow
def test_one_command_leads_from_nothing_to_a_report(tiny: tuple[Path, Finished]) -> None:
    """It says what it needs, names each step as it ends, and every table names its game."""
    folder, done = tiny
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "tiny: 1 run of narrow in runs/tiny. 7 of 7 steps are to be done: 1 training; about" in done.stdout
    assert re.search(r"train-narrow-0: done after \d+:\d\d\n", done.stdout)
    assert done.stdout.endswith("Report: runs/tiny/report.html\n")
    results = ExperimentFolder(folder).results("narrow", 0)
    tables = (results.train, results.eval, results.match, folder / "average.csv")
    for table in tables:
        assert {row["game"] for row in rows_of(table)} == {"connect_four"}, table
    assert {row["player"] for row in rows_of(results.eval)} >= {"narrow-0/main"}
    assert {row["metric"] for row in rows_of(results.eval)} == {
        "value_preserving",
        "optimal",
        "score",
        "score:random",
    }
    assert [path.suffix for path in results.games.iterdir()] == [".gif"]
    assert results.eval_picture.is_file()
    ranked = [row["player"] for row in rows_of(folder / "league" / "leaderboard.csv")]
    assert sum(name.startswith("narrow-0/") for name in ranked) == 1
    assert "minimax:4" in ranked
    assert "Does anything happen?" in (folder / "report.html").read_text()
    assert RunFolder(folder / "runs" / "narrow-0").read_settings([]).seed == 0
    receipt = json.loads((folder / "steps" / "train-narrow-0.json").read_text())
    assert receipt["command"][:2] == ["train", "--continue"]
    assert (receipt["seed"], receipt["exit_code"]) == (0, 0)


@pytest.mark.slow
def test_a_second_command_does_nothing_but_what_has_changed(tiny: tuple[Path, Finished]) -> None:
    """Another question makes a new report, and another ladder all that follows from it; training stays."""
    folder, _ = tiny
    before = receipts(folder)
    done = call("experiment", "run", "tiny.yaml", cwd=folder.parent.parent)
    assert "All 7 steps are up to date." in done.stdout
    assert receipts(folder) == before
    write(folder.parent.parent, TINY.replace("Does anything happen?", "Does anything else happen?"))
    done = call("experiment", "run", "tiny.yaml", cwd=folder.parent.parent)
    assert done.returncode == 0
    after = receipts(folder)
    assert {name for name in before if after[name] != before[name]} == {"report"}
    assert "Does anything else happen?" in (folder / "report.html").read_text()


@pytest.mark.slow
def test_a_folder_of_something_else_is_refused(tiny: tuple[Path, Finished], tmp_path: Path) -> None:
    """Another experiment's, a run's, anybody's: nothing in it is touched."""
    folder, _ = tiny
    file = folder.parent.parent / "tiny.yaml"
    done = call("experiment", "run", file, "--name", "other", "--output", folder)
    assert (done.returncode, done.stderr) == (
        16,
        f"connectfour: {folder} is the folder of the experiment tiny: choose another --output\n",
    )
    other = write(tmp_path, TINY.replace("narrow", "wide"))
    done = call("experiment", "run", other, "--output", folder)
    assert "is the folder of another experiment, with the variants narrow" in done.stderr
    done = call("experiment", "run", other, "--output", folder / "runs")
    assert "is not the folder of an experiment" in done.stderr
    done = call("experiment", "run", other, "--output", other)
    assert "is a file: choose another --output" in done.stderr
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "experiment.yaml").write_text("[")
    done = call("experiment", "run", other, "--output", broken)
    assert "is damaged" in done.stderr


def test_the_graph_is_printed_and_drawn(tmp_path: Path) -> None:
    """Each step with its command, and those it waits for."""
    done = call("experiment", "graph", write(tmp_path), "-p", "runs=2", "--picture", tmp_path / "graph.svg")
    assert done.returncode == 0
    assert "evaluate-narrow-1 (after train-narrow-1; 1 CPU)\n    connectfour evaluate runs/narrow-1" in done.stdout
    assert "11 steps, drawn in" in done.stdout
    assert (tmp_path / "graph.svg").read_text().startswith("<svg")


def test_all_keys_of_an_experiment_are_explained() -> None:
    """As those of a run are."""
    done = call("experiment", "settings")
    assert "evaluation.positions" in done.stdout
    assert "evaluate_if" in done.stdout


def test_ten_thousand_steps_are_planned() -> None:
    """Who waits for whom follows from their files."""
    steps = [
        Step(
            f"step-{number}", ("settings",), inputs=(f"f{number - 1}",) if number % 10 else (), outputs=(f"f{number}",)
        )
        for number in range(10_000)
    ]
    graph = Graph(reversed(steps))
    assert graph.predecessors["step-9999"] == ("step-9998",)
    assert graph.predecessors["step-9990"] == ()
    assert len(graph.steps) == 10_000


def wait_until(happened: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    """Wait for something, for as long as a process runs."""
    while not happened():
        assert process.poll() is None, "the command has ended"
        time.sleep(0.05)


LONG = ("-p", "train.stop.env_steps=60000")


@pytest.fixture
def begun(tmp_path: Path) -> tuple[Path, subprocess.Popen[bytes]]:
    """A folder, and a command that trains there, some iterations after the first checkpoint."""
    process = subprocess.Popen(
        command("experiment", "run", write(tmp_path), *LONG), cwd=tmp_path, stdout=subprocess.DEVNULL
    )
    progress = RunFolder(tmp_path / "runs/tiny/runs/narrow-0").progress
    wait_until(lambda: progress.is_file() and len(progress.read_text().splitlines()) > 5, process)
    return tmp_path, process


@pytest.mark.slow
def test_ctrl_c_leaves_a_folder_that_goes_on(begun: tuple[Path, subprocess.Popen[bytes]]) -> None:
    """Training stops at a checkpoint, and the same command resumes it."""
    folder, process = begun
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    log = folder / "runs/tiny/steps/train-narrow-0.log"
    assert "Stopped after" in log.read_text()
    assert not receipts(folder / "runs/tiny")
    assert call("runs", folder / "runs").stdout.count("interrupted") == 1
    done = call_process("experiment", "run", "tiny.yaml", *LONG, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Resuming runs/narrow-0 at iteration" in log.read_text()


@pytest.mark.slow
def test_kill_9_leaves_a_folder_that_goes_on(begun: tuple[Path, subprocess.Popen[bytes]]) -> None:
    """The command that follows at once waits for the killed trainer, and resumes from its checkpoint."""
    folder, process = begun
    process.kill()
    process.wait()
    done = call_process("experiment", "run", "tiny.yaml", *LONG, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Resuming runs/narrow-0 at iteration" in (folder / "runs/tiny/steps/train-narrow-0.log").read_text()
    assert not list((folder / "runs/tiny/steps").glob("*.begun.json"))


@pytest.mark.slow
@pytest.mark.usefixtures("ray_session")
def test_only_what_is_missing_or_changed_is_trained(tiny: tuple[Path, Finished], tmp_path: Path) -> None:
    """More runs train those that are missing; a changed variant is trained anew, and its old runs are put aside."""
    shutil.copytree(tiny[0].parent.parent, tmp_path / "copy")
    folder, file = tmp_path / "copy" / "runs" / "tiny", tmp_path / "copy" / "tiny.yaml"
    before = receipts(folder)
    done = call("experiment", "run", file, "-p", "runs=3", cwd=tmp_path / "copy")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 trainings" in done.stdout
    after = receipts(folder)
    assert {name for name in before if after[name] == before[name]} == {
        "train-narrow-0",
        "record-narrow-0",
        "evaluate-narrow-0",
        "games-narrow-0",
    }
    assert rows_of(folder / "average.csv")[0]["runs"] == "3"
    settings = yaml.safe_load(file.read_text())
    settings["variants"]["wide"] = {"network.width": 32}
    settings["evaluate_if"] = "league_size > 99"
    file.write_text(yaml.safe_dump(settings))
    done = call("experiment", "run", file, "-p", "variants.narrow={ppo.epochs: 2}", cwd=tmp_path / "copy")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 trainings" in done.stdout
    assert "evaluate-wide-0: not evaluated: league_size > 99 does not hold" in done.stdout
    assert len(list((folder / "replaced").iterdir())) == 1
    assert "league_size &gt; 99" in (folder / "report.html").read_text()
    again = call("experiment", "run", file, "-p", "variants.narrow={ppo.epochs: 2}", cwd=tmp_path / "copy")
    assert "are up to date" in again.stdout
    assert "trainings" not in again.stdout


@pytest.mark.slow
@pytest.mark.usefixtures("ray_session")
def test_steps_may_join_the_ray_that_runs_the_experiment(tmp_path: Path) -> None:
    """Their steps hold nothing, so training finds its cores."""
    file = write(tmp_path)
    done = call("experiment", "run", file, "-p", "resources.ray=shared", "-p", "runs=2", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Report:" in done.stdout


@pytest.mark.slow
def test_receipts_are_read_by_their_names(tiny: tuple[Path, Finished]) -> None:
    """Every step of the finished experiment has one."""
    folder = ExperimentFolder(tiny[0])
    names = {"train-narrow-0", "record-narrow-0", "evaluate-narrow-0", "games-narrow-0", "average", "league", "report"}
    assert receipts(folder.path).keys() == names
    assert all(Receipts(folder).read(Step(name, ())) for name in names)
