"""Carries out a single step of an experiment, for schedulers that see commands alone, such as Argo."""

from __future__ import annotations

import difflib
from pathlib import Path

from connectfour.errors import ExperimentError
from connectfour.experiments.execution.endings import Ending, settle, write_outcome, write_status
from connectfour.experiments.execution.graph import Graph, Step
from connectfour.experiments.execution.performing import perform
from connectfour.experiments.execution.receipts import Receipts
from connectfour.experiments.execution.steps import build_graph
from connectfour.experiments.layout import ExperimentFolder
from connectfour.experiments.reading import read_prepared


def run_step(path: Path, name: str, command: str = "") -> Ending:
    """Carry out one step unless it is up to date or not wanted; return how it has ended.

    Before a step that is about all runs, no other step of those for which it waits may still run.

    Args:
        path: the experiment's folder, which has been prepared.
        name: the step's name.
        command: how the user started the experiment; for the report.

    Raises:
        ExperimentError: the folder has not been prepared, it has no such step, or another step must run first.
        StepFailedError: the step's command failed.
    """
    folder = ExperimentFolder(path.absolute())
    graph = build_graph(read_prepared(folder), folder)
    step = _find(graph, name, path)
    receipts = Receipts(folder)
    endings = settle(graph, folder, receipts, graph.ancestors(name)) if step.variant is None else {}
    if step.is_last:
        write_outcome(graph, folder, endings, command)
    ending = _left_out(step, graph, folder, receipts)
    if ending:
        receipts.discard(step)
    elif receipts.is_done(step):
        ending = Ending("done", "it is up to date")
    else:
        perform(step, folder.path)
        ending = Ending("done", seconds=(receipts.read(step) or {}).get("seconds"))
    if step.is_last:
        write_status(graph, folder, {**endings, name: ending})
    return ending


def _find(graph: Graph, name: str, path: Path) -> Step:
    if name not in graph.steps:
        (close,) = difflib.get_close_matches(name, graph.steps, n=1, cutoff=0.0)
        raise ExperimentError(f"{path} has no step {name!r}: did you mean {close!r}?")
    return graph.steps[name]


def _left_out(step: Step, graph: Graph, folder: ExperimentFolder, receipts: Receipts) -> Ending | None:
    """Return how a step ends that is not wanted, or that has nothing to read; None if it can run.

    Raises:
        ExperimentError: another step must run first.
    """
    needed = (*step.inputs, *([step.condition] if step.condition else []))
    missing = [file for file in needed if not (folder.path / file).exists()]
    if missing:
        before = ", ".join(graph.writers_of(missing)) or f"connectfour experiment prepare, which writes {missing[0]},"
        raise ExperimentError(f"{step.name} reads {missing[0]}, which is not there: {before} must run first")
    if receipts.is_unwanted(step):
        return Ending("not evaluated", f"{step.why} does not hold")
    if receipts.lacks_sources(step):
        return Ending("skipped", "there is nothing that it could read")
    return None
