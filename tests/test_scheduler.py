"""Running a graph of steps: on Ray, as commands, once each; and what happens when steps fail or change."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from collections.abc import Iterable
from dataclasses import replace
from graphlib import CycleError
from pathlib import Path

import pytest

from connectfour.cluster.session import start_ray
from connectfour.errors import ClusterError
from connectfour.experiments.execution import scheduler as scheduling
from connectfour.experiments.execution.display import describe_ending, live_table, status_line
from connectfour.experiments.execution.endings import Ending
from connectfour.experiments.execution.graph import Graph, Step
from connectfour.experiments.execution.performing import environment_of
from connectfour.experiments.execution.receipts import Receipts
from connectfour.experiments.execution.scheduler import Scheduler
from connectfour.experiments.layout import ExperimentFolder
from connectfour.settings.resources import Demand
from connectfour.system.machine import CORES, usable_cores

SETTINGS = ("settings",)
FAILS = ("grade", "nobody")
MATCH = ("match", "heuristic:random", "heuristic:always_same", "--games", "2", "--output")


def folder_in(path: Path) -> ExperimentFolder:
    """Return a folder in which steps can run."""
    folder = ExperimentFolder(path)
    folder.steps.mkdir(parents=True, exist_ok=True)
    return folder


def run(steps: Iterable[Step], folder: ExperimentFolder, retries: int = 0) -> Scheduler:
    """Run steps to their end."""
    scheduler = Scheduler(Graph(steps), folder, Receipts(folder), retries=retries)

    def show() -> None:
        assert status_line(scheduler)
        assert live_table(scheduler)

    def ended(step: Step, ending: Ending) -> None:
        assert describe_ending(scheduler, step, ending)

    scheduler.run(show, ended)
    return scheduler


def states(scheduler: Scheduler) -> dict[str, str]:
    """Return the state of each step."""
    return {name: ending.state for name, ending in scheduler.endings.items()}


def test_steps_wait_for_those_that_write_what_they_read() -> None:
    """The files say so; the last step waits for all."""
    graph = Graph(
        [
            Step("last", SETTINGS, is_last=True),
            Step("c", SETTINGS, inputs=("a.csv", "given.yaml"), sources=("b.csv",)),
            Step("b", SETTINGS, outputs=("b.csv",), condition="yes.txt"),
            Step("a", SETTINGS, outputs=("a.csv", "yes.txt")),
        ]
    )
    assert graph.predecessors == {"last": ("c", "b", "a"), "c": ("a", "b"), "b": ("a",), "a": ()}
    assert list(graph.steps) == ["a", "b", "c", "last"]


def test_a_graph_that_cannot_run_is_refused() -> None:
    """Two steps with one name or one output, and steps that wait for each other."""
    with pytest.raises(ValueError, match="two steps have the name a"):
        Graph([Step("a", SETTINGS), Step("a", FAILS)])
    with pytest.raises(ValueError, match=r"two steps write x\.csv"):
        Graph([Step("a", SETTINGS, outputs=("x.csv",)), Step("b", SETTINGS, outputs=("x.csv",))])
    with pytest.raises(CycleError):
        Graph([Step("a", SETTINGS, inputs=("b",), outputs=("a",)), Step("b", SETTINGS, inputs=("a",), outputs=("b",))])


@pytest.fixture
def two_cores() -> None:
    """A Ray with two cores at least."""
    start_ray(cpus=2)


@pytest.mark.usefixtures("ray_session", "two_cores")
def test_what_depends_on_a_failed_step_is_skipped_and_the_rest_finishes(tmp_path: Path) -> None:
    """The failed one was tried as often as asked for; the last step runs whatever happened; a rerun does the rest."""
    folder = folder_in(tmp_path)
    (tmp_path / "no.txt").write_text("no\n")
    (tmp_path / "u").write_text("of an earlier run, whose settings have changed since")
    steps = [
        Step("fails", FAILS, outputs=("never.csv",)),
        Step("forgets", SETTINGS, outputs=("nothing.csv",)),
        Step("after", SETTINGS, inputs=("never.csv",), outputs=("also-never.csv",)),
        Step("works", (*MATCH, "there/match.csv"), outputs=("there/match.csv",)),
        Step("unwanted", SETTINGS, ("there/match.csv",), ("u",), condition="no.txt", why="win_rate > 0.7"),
        Step("both", SETTINGS, sources=("there/match.csv", "never.csv")),
        Step("none", SETTINGS, sources=("also-never.csv", "u")),
        Step("last", SETTINGS, inputs=("outcome.json",), is_last=True),
    ]
    scheduler = run(steps, folder, retries=1)
    assert states(scheduler) == {
        "fails": "failed",
        "forgets": "failed",
        "after": "skipped",
        "works": "done",
        "unwanted": "not evaluated",
        "both": "done",
        "none": "skipped",
        "last": "done",
    }
    reasons = {name: ending.reason for name, ending in scheduler.endings.items()}
    assert reasons["fails"].startswith("unknown player 'nobody'")
    assert reasons["forgets"] == "it did not write nothing.csv"
    assert reasons["after"] == "fails failed"
    assert reasons["unwanted"] == "win_rate > 0.7 does not hold"
    assert folder.log("fails").read_text().count("$ connectfour grade nobody") == 2
    assert not (tmp_path / "u").exists()
    outcome = json.loads(folder.outcome.read_text())["steps"]
    assert {name: step["state"] for name, step in outcome.items()} == {
        name: state for name, state in states(scheduler).items() if name != "last"
    }
    receipt = json.loads(folder.receipt("works").read_text())
    assert (receipt["game"], receipt["exit_code"], receipt["attempts"]) == ("connect_four", 0, 1)
    assert receipt["seconds"] > 0
    began = scheduler.began["works"]
    again = run(steps, folder)
    assert states(again) == states(scheduler)
    assert "works" not in again.began
    assert began
    assert {"fails", "forgets"} <= again.began.keys()


@pytest.mark.slow
@pytest.mark.usefixtures("ray_session", "two_cores")
def test_four_steps_that_start_their_own_ray_share_two_cores(tmp_path: Path) -> None:
    """Each holds a core and its Ray has one; nobody waits for a core that a step holds."""
    folder = folder_in(tmp_path)
    command = ("rehearse", "--num-agents", "2", "--num-matches", "4", "--hang-rate", "0")
    scheduler = run([Step(f"s-{number}", command) for number in range(4)], folder)
    assert set(states(scheduler).values()) == {"done"}


@pytest.mark.slow
@pytest.mark.usefixtures("ray_session", "two_cores")
def test_an_interrupted_step_is_asked_to_stop_and_goes_on_later(tmp_path: Path) -> None:
    """No receipt is written, and what would have followed has not begun."""
    folder = folder_in(tmp_path)
    steps = [
        Step("long", ("rehearse", "--num-matches", "200000"), outputs=("x.csv",)),
        Step("next", SETTINGS, inputs=("x.csv",)),
    ]
    scheduler = Scheduler(Graph(steps), folder, Receipts(folder))

    def interrupt() -> None:
        while not (folder.log("long").is_file() and " games/s" in folder.log("long").read_text()):
            time.sleep(0.05)
        scheduler.interrupt()

    watching = threading.Thread(target=interrupt)
    watching.start()
    scheduler.run(lambda: None, lambda *_: None)
    watching.join()
    assert states(scheduler) == {"long": "waiting", "next": "waiting"}
    assert "Stopping" in folder.log("long").read_text()
    assert not folder.receipt("long").exists()


@pytest.mark.usefixtures("ray_session", "two_cores")
def test_a_step_that_asks_for_what_nobody_has_is_refused(tmp_path: Path) -> None:
    """With both numbers, instead of waiting for ever."""
    steps = [Step("a", SETTINGS, demand=Demand(num_cpus=1, tags={"moon": 2}))]
    folder = folder_in(tmp_path)
    scheduler = Scheduler(Graph(steps), folder, Receipts(folder))
    with pytest.raises(ClusterError, match=r"^the step a needs 2 moon and no node has any .*: lower resources\.a, or"):
        scheduler.check_demands(steps)
    with pytest.raises(ClusterError, match=r"^the step a needs 1e\+06 GB of memory and no node has more "):
        scheduler.check_demands([Step("a", SETTINGS, demand=Demand(num_cpus=1, memory_gb=1e6))])


def test_a_step_holds_the_memory_that_it_asks_for() -> None:
    """In bytes; a step that joins the Ray that runs the experiment holds none."""
    step = Step("a", SETTINGS, demand=Demand(num_cpus=1, memory_gb=2))
    assert scheduling._options(step)["memory"] == 2e9
    assert "memory" not in scheduling._options(replace(step, demand=Demand(num_cpus=1)))
    assert "memory" not in scheduling._options(replace(step, ray="shared"))


def test_a_command_knows_its_cores_and_its_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    """A private Ray is sized to the step; it is not that of the worker which runs the step.

    Ray gives each of its processes its threads; a command without Ray takes no more than its step holds.
    """
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    step = Step("a", SETTINGS, demand=Demand(num_cpus=1.5), ray="private")
    private = environment_of(step, None)
    assert "RAY_ADDRESS" not in private
    assert "OMP_NUM_THREADS" not in private
    assert private[CORES] == "2"
    assert environment_of(replace(step, ray="none"), None)["OMP_NUM_THREADS"] == "2"
    monkeypatch.setenv(CORES, private[CORES])
    assert usable_cores() == 2
    assert environment_of(step, "10.0.0.2:6379")["RAY_ADDRESS"] == "10.0.0.2:6379"


def test_rays_thread_count_does_not_reach_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray gives a worker as many threads as its task holds cores; each process of the command would take as many."""
    seen: list[str | None] = []
    monkeypatch.setattr(scheduling, "perform", lambda *_: seen.append(os.environ.get("OMP_NUM_THREADS")))
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    step = Step("train", ())
    scheduling._perform("2", step, Path(), None, 0)
    scheduling._perform(None, step, Path(), None, 0)
    assert seen == ["2", None]


def write_all(folder: ExperimentFolder, files: Iterable[str], text: str = "1") -> None:
    """Write files of an experiment."""
    for name in files:
        (folder.path / name).parent.mkdir(parents=True, exist_ok=True)
        (folder.path / name).write_text(text)


def test_a_receipt_holds_as_long_as_nothing_changes(tmp_path: Path) -> None:
    """Command, seed, inputs and outputs decide; not the time."""
    folder = folder_in(tmp_path)
    receipts = Receipts(folder)
    step = Step("a", SETTINGS, inputs=("in.csv",), sources=("maybe.csv",), outputs=("out", "out.csv"), seed=1)
    write_all(folder, ["in.csv", "out/one.csv", "out.csv"])
    assert not receipts.is_done(step)
    receipts.write(step, {"seconds": 1.0})
    assert receipts.is_done(step)
    assert not receipts.is_done(Step(**{**vars(step), "seed": 2}))
    assert not receipts.is_done(Step(**{**vars(step), "command": FAILS}))
    for file in ("in.csv", "out/one.csv", "out.csv", "maybe.csv"):
        before = (tmp_path / file).read_text() if (tmp_path / file).exists() else None
        write_all(folder, [file], "22")
        assert not receipts.is_done(step), file
        if before is None:
            (tmp_path / file).unlink()
        else:
            write_all(folder, [file], before)
        assert receipts.is_done(step), file
    receipts.begin(step)
    write_all(folder, ["in.csv"], "changed while the step ran")
    write_all(folder, ["out/one.csv", "out.csv"])
    receipts.write(step, {})
    assert not receipts.is_done(step)
    folder.receipt("a").write_text("{")
    assert not receipts.is_done(step)


def test_a_step_begins_anew_unless_it_was_cut_off(tmp_path: Path) -> None:
    """A run that goes on keeps its folder; one whose settings changed is put aside, not lost."""
    folder = folder_in(tmp_path)
    receipts = Receipts(folder)
    step = Step("train", SETTINGS, inputs=("in",), outputs=("runs/a/out",), folder="runs/a", resumes=True)
    write_all(folder, ["in", "runs/a/out", "runs/a/weights"])
    receipts.begin(step)
    assert (folder.replaced / "1-a" / "weights").is_file()
    assert not (tmp_path / "runs/a").exists()
    write_all(folder, ["runs/a/weights"])
    receipts.begin(step)
    assert (tmp_path / "runs/a/weights").is_file()
    write_all(folder, ["in"], "changed")
    receipts.begin(step)
    assert (folder.replaced / "2-a" / "weights").is_file()
    shutil.rmtree(folder.replaced / "1-a")
    write_all(folder, ["in"], "changed again")
    write_all(folder, ["runs/a/weights"])
    receipts.begin(step)
    assert sorted(path.name for path in folder.replaced.iterdir()) == ["2-a", "3-a"]
    other = Step("draw", SETTINGS, outputs=("plots", "x.csv"))
    write_all(folder, ["plots/a.png", "x.csv"])
    receipts.begin(other)
    assert not (tmp_path / "plots").exists()
    assert not (tmp_path / "x.csv").exists()
