"""How steps end, and the notes about it: for whoever schedules them, and for the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Literal

from connectfour.experiments.execution.graph import PROGRAM, Graph, Step
from connectfour.experiments.execution.performing import last_line
from connectfour.experiments.execution.receipts import Receipts, read_json, write_json
from connectfour.experiments.layout import ExperimentFolder

State = Literal["waiting", "running", "done", "failed", "skipped", "not evaluated"]
"""``skipped``: a step that it needs failed. ``not evaluated``: its run does not meet the experiment's condition."""


@dataclass
class Ending:
    """How a step is, or how it ended.

    Attributes:
        state: its state.
        reason: why it failed or was left out, as half a sentence.
        seconds: how long it ran this time; None if it did not.
    """

    state: State = "waiting"
    reason: str = ""
    seconds: float | None = None


def left_out(step: Step, graph: Graph, endings: Mapping[str, Ending], receipts: Receipts) -> tuple[State, str] | None:
    """Return why a step cannot run, or is not wanted; None if it runs.

    Args:
        step: the step.
        graph: all steps.
        endings: how those have ended for which it waits.
        receipts: those in the experiment's folder.
    """
    if step.is_last:
        return None
    for name in graph.writers_of((*step.inputs, *([step.condition] if step.condition else []))):
        before = endings[name]
        if before.state == "failed":
            return "skipped", f"{name} failed"
        if before.state in {"skipped", "not evaluated"}:
            return before.state, before.reason
    if receipts.is_unwanted(step):
        return "not evaluated", f"{step.why} does not hold"
    if receipts.lacks_sources(step):
        return "skipped", "there is nothing that it could read"
    return None


def settle(graph: Graph, folder: ExperimentFolder, receipts: Receipts, names: Container[str]) -> dict[str, Ending]:
    """Return how steps have ended, going by the files in the folder alone, when none of them runs any more.

    What steps that are left out wrote earlier is removed, so that nobody takes it for a result of what is there now.

    Args:
        graph: all steps.
        folder: the experiment's folder.
        receipts: those in that folder.
        names: the steps that matter, with all for which they wait.
    """
    endings: dict[str, Ending] = {}
    for name, step in graph.steps.items():
        if name not in names or step.is_last:
            continue
        reason = left_out(step, graph, endings, receipts)
        if reason:
            endings[name] = Ending(*reason)
            receipts.discard(step)
        elif receipts.is_done(step):
            endings[name] = Ending("done")
        elif folder.begun(name).exists():
            said = last_line(folder.log(name)).removeprefix(f"{PROGRAM}: ")
            endings[name] = Ending("failed", said or "it was cut off")
        else:
            endings[name] = Ending("skipped", f"{name} has not run")
    return endings


def write_status(graph: Graph, folder: ExperimentFolder, endings: Mapping[str, Ending]) -> None:
    """Note how far the experiment is."""
    states = Counter(ending.state for ending in endings.values())
    write_json(folder.status, {"game": graph.game, "steps": len(endings), "states": dict(states)})


def write_outcome(graph: Graph, folder: ExperimentFolder, endings: Mapping[str, Ending], command: str) -> None:
    """Note how all steps but the last ended, if that has changed, and how the user called the ``command``."""
    steps = {
        name: {
            "state": ending.state,
            "reason": ending.reason,
            "log": str(folder.log(name).relative_to(folder.path)),
            "command": [PROGRAM, *graph.steps[name].command],
        }
        for name, ending in endings.items()
        if not graph.steps[name].is_last
    }
    before = read_json(folder.outcome)
    if before is None or before.get("steps") != steps:
        write_json(folder.outcome, {"game": graph.game, "command": command, "steps": steps})
