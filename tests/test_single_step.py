"""Steps carried out one by one, as Argo does: packed experiments, prepared folders, and what each step says."""

from __future__ import annotations

import json
import os
import signal
import threading
from pathlib import Path

import pytest
import yaml

from connectfour.errors import ConfigError
from connectfour.experiments.execution.endings import settle
from connectfour.experiments.execution.graph import Graph, Step
from connectfour.experiments.execution.performing import StepFailedError
from connectfour.experiments.execution.receipts import Receipts
from connectfour.experiments.execution.single import run_step
from connectfour.experiments.execution.steps import build_graph
from connectfour.experiments.layout import ExperimentFolder
from connectfour.experiments.preparing import prepare
from connectfour.experiments.reading import read_experiment, read_prepared
from connectfour.system.following import following
from tests.commands import call
from tests.test_experiment import TINY, write

CONFIGS = Path(__file__).parent.parent / "configs" / "experiments"
GRID = """\
config: base.yaml
train: {network: {width: 32}, stop.minutes: 2}
variants: {ppo: {}, own: {config: other.yaml, algorithm: apex, stop.minutes: 3}}
grid: {network.layers: [1, 2]}
evaluate_if: win_rate > 0.5
"""
SETTINGS = ("settings",)


@pytest.fixture
def grid(tmp_path: Path) -> Path:
    """An experiment file with two configurations beside it."""
    (tmp_path / "base.yaml").write_text("stop: {minutes: 7}\nppo: {epochs: 3}\n")
    (tmp_path / "other.yaml").write_text("network: {encoder: mlp}\n")
    (tmp_path / "grid.yaml").write_text(f"question: Which one?\n{GRID}")
    return tmp_path / "grid.yaml"


@pytest.mark.parametrize("name", ["grid", "learners"])
def test_a_packed_experiment_needs_no_other_file(name: str, grid: Path, tmp_path: Path) -> None:
    """It is the same experiment, and the same overrides change it in the same way."""
    file = grid if name == "grid" else CONFIGS / f"{name}.yaml"
    packed = tmp_path / "elsewhere" / "packed.yaml"
    packed.parent.mkdir()
    packed.write_text(read_experiment(file).pack())
    for overrides in ([], ["runs=7", "first_seed=2", "train.stop.minutes=9", "train.network.width=48"]):
        wanted, found = read_experiment(file, overrides), read_experiment(packed, overrides)
        assert found.dump() == wanted.dump()
        assert [each.settings for each in found.variants] == [each.settings for each in wanted.variants]
    with pytest.raises(ConfigError, match=r"has no configs\.new: its variants are fixed"):
        read_experiment(packed, ["variants.new={}"])


def test_a_prepared_folder_says_which_steps_there_are(grid: Path, tmp_path: Path) -> None:
    """They are those of the experiment file, command by command."""
    experiment, folder = read_experiment(grid, ["runs=2"]), ExperimentFolder(tmp_path / "new" / "folder")
    folder.path.mkdir(parents=True)
    prepare(experiment, folder)
    again = read_prepared(folder)
    assert again.dump() == experiment.dump()
    assert build_graph(again, folder).steps == build_graph(experiment, folder).steps


@pytest.fixture
def prepared(tmp_path: Path) -> ExperimentFolder:
    """The folder of a tiny experiment in which only ``prepare`` has run."""
    file = write(tmp_path, TINY + "evaluate_if: win_rate > 0.5\n")
    done = call("experiment", "prepare", file, tmp_path / "folder", "-p", "runs=2", "-p", "first_seed=")
    assert (done.returncode, done.stdout) == (0, f"tiny: 11 steps in {tmp_path / 'folder'}\n")
    return ExperimentFolder(tmp_path / "folder")


def fill(folder: ExperimentFolder, *names: str) -> None:
    """Write what steps would, and their receipts."""
    graph = build_graph(read_prepared(folder), folder)
    for step in (graph.steps[name] for name in names):
        for output in step.outputs:
            file = folder.path / output
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("yes\n")
        Receipts(folder).write(step, {})


def test_a_step_says_what_it_waits_for(prepared: ExperimentFolder, tmp_path: Path) -> None:
    """Exit code 16; a folder that was not prepared, or a name that does not exist, is refused as well."""
    done = call("experiment", "step", prepared.path, "record-narrow-0")
    assert done.returncode == 16
    assert "reads runs/narrow-0/progress.csv, which is not there: train-narrow-0 must run first" in done.stderr
    done = call("experiment", "step", prepared.path, "train-narow-0")
    assert "has no step 'train-narow-0': did you mean 'train-narrow-0'?" in done.stderr
    done = call("experiment", "step", tmp_path, "average")
    assert (done.returncode, "run connectfour experiment prepare" in done.stderr) == (16, True)
    prepared.variant("narrow").unlink()
    done = call("experiment", "step", prepared.path, "average")
    assert (done.returncode, "narrow.yaml" in done.stderr) == (2, True)


def test_a_step_that_is_up_to_date_does_nothing(prepared: ExperimentFolder) -> None:
    """Its receipt decides; a step that the condition excludes loses what it wrote earlier."""
    fill(prepared, "train-narrow-0", "record-narrow-0", "evaluate-narrow-0")
    results = prepared.results("narrow", 0)
    assert call("experiment", "step", prepared.path, "train-narrow-0").stdout == (
        "train-narrow-0: done: it is up to date\n"
    )
    assert not prepared.log("train-narrow-0").exists()
    results.verdict.write_text("no\n")
    done = call("experiment", "step", prepared.path, "evaluate-narrow-0")
    assert done.stdout == "evaluate-narrow-0: not evaluated: win_rate > 0.5 does not hold\n"
    assert done.returncode == 0
    assert not results.eval.exists()
    done = call("experiment", "step", prepared.path, "league")
    assert (done.returncode, done.stdout) == (0, "league: skipped: there is nothing that it could read\n")


def test_a_step_that_fails_shows_its_log_and_ends_with_its_exit_code(prepared: ExperimentFolder) -> None:
    """No receipt is written, and the report, which follows, says what failed and what was left out."""
    fill(prepared, "train-narrow-0")
    done = call("experiment", "step", prepared.path, "record-narrow-0")
    assert done.returncode == 2
    assert done.stdout.startswith("$ connectfour experiment record runs/narrow-0")
    assert "connectfour: record-narrow-0 failed: " in done.stderr
    assert not prepared.receipt("record-narrow-0").exists()
    done = call("experiment", "step", prepared.path, "report", "--command", "argo submit tiny.yaml")
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("report: done\n")
    assert "argo submit tiny.yaml" in prepared.report.read_text()
    steps = json.loads(prepared.outcome.read_text())["steps"]
    assert {name: (step["state"], step["reason"]) for name, step in steps.items() if "narrow-0" in name} == {
        "train-narrow-0": ("done", ""),
        "record-narrow-0": ("failed", steps["record-narrow-0"]["reason"]),
        "evaluate-narrow-0": ("skipped", "record-narrow-0 failed"),
        "games-narrow-0": ("skipped", "record-narrow-0 failed"),
    }
    assert steps["train-narrow-1"]["reason"] == "train-narrow-1 has not run"
    assert "runs/narrow-0" in steps["record-narrow-0"]["reason"]
    assert json.loads(prepared.status.read_text())["states"] == {"done": 2, "failed": 1, "skipped": 8}


def test_results_of_steps_that_are_left_out_are_removed(tmp_path: Path) -> None:
    """Else the average would count the results of an earlier run of the experiment."""
    folder = ExperimentFolder(tmp_path)
    steps = [
        Step("train", SETTINGS, inputs=("config",), outputs=("run",)),
        Step("record", SETTINGS, inputs=("run",), outputs=("table",)),
        Step("other", SETTINGS, outputs=("more",)),
        Step("average", SETTINGS, sources=("table",)),
    ]
    graph, receipts = Graph(steps), Receipts(folder)
    folder.steps.mkdir()
    for file in ("config", "run", "table", "more"):
        (tmp_path / file).write_text("1")
    for step in steps:
        receipts.write(step, {})
    (tmp_path / "config").write_text("changed, and never trained since")
    assert graph.ancestors("average") == {"train", "record"}
    endings = settle(graph, folder, receipts, graph.ancestors("average"))
    assert {name: (ending.state, ending.reason) for name, ending in endings.items()} == {
        "train": ("skipped", "train has not run"),
        "record": ("skipped", "train has not run"),
    }
    assert not (tmp_path / "table").exists()
    assert (tmp_path / "run").exists()
    assert (tmp_path / "more").exists()


def test_a_step_that_is_terminated_asks_its_command_to_stop(
    prepared: ExperimentFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a pod is: the exit code is that of an interrupted command."""

    def perform(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        threading.Event().wait(10)

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr("connectfour.experiments.execution.single.perform", perform)
    assert call("experiment", "step", prepared.path, "train-narrow-0").returncode == 130
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_signal_that_ended_a_command_is_its_exit_code(
    prepared: ExperimentFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a shell would say: 128 and its number."""
    monkeypatch.setattr("connectfour.experiments.execution.performing._run", lambda *_: -9)
    with pytest.raises(StepFailedError, match="SIGKILL") as failed:
        run_step(prepared.path, "train-narrow-0")
    assert failed.value.exit_code == 137


def test_a_log_is_shown_from_where_it_was(tmp_path: Path) -> None:
    """What an earlier attempt printed is not shown again."""
    log, shown = tmp_path / "a.log", [""]
    log.write_text("before\n")
    with following(log, shown.append), log.open("a") as stream:
        stream.write("after\n")
    assert "".join(shown) == "after\n"


def test_an_experiment_keeps_its_name_when_packed(tmp_path: Path) -> None:
    """Whatever the file is called in a container."""
    packed = tmp_path / "x.yaml"
    packed.write_text(read_experiment(write(tmp_path)).pack())
    assert read_experiment(packed).name == "tiny"
    assert read_experiment(packed, name="mine").name == "mine"
    values = yaml.safe_load(packed.read_text())
    assert values["configs"]["narrow"]["network"]["width"] == 16
