"""The experiments in a folder, and how far each is. Files are read and nothing is locked."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from connectfour.experiments.execution.receipts import read_json
from connectfour.experiments.layout import ExperimentFolder
from connectfour.runs.inventory import State, measure_folder
from connectfour.system.files import seems_locked


class ExperimentReport(BaseModel):
    """What is known of an experiment.

    Attributes:
        name: name of its folder.
        path: its folder.
        state: what became of it; ``failed`` if steps failed.
        written: when a file of it was last written.
        steps: number of its steps; None before it has begun.
        done: how many are done.
        states: how many are in each state.
        bytes: size of all its files.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    path: str
    state: State
    written: datetime
    steps: int | None
    done: int
    states: dict[str, int]
    bytes: int


def list_experiments(folder: Path) -> list[ExperimentReport]:
    """Return the experiments in ``folder``; none if there is no such folder."""
    if not folder.is_dir():
        return []
    return [_report(each) for path in folder.iterdir() if (each := ExperimentFolder(path)).settings.is_file()]


def _report(folder: ExperimentFolder) -> ExperimentReport:
    status = read_json(folder.status) or {}
    states, steps = status.get("states"), status.get("steps")
    found = states.items() if isinstance(states, dict) else ()
    counts = {name: count for name, count in found if isinstance(count, int)}
    size, written = measure_folder(folder.path)
    return ExperimentReport(
        name=folder.path.name,
        path=str(folder.path),
        state=_state(folder, counts),
        written=datetime.fromtimestamp(written, UTC),
        steps=steps if isinstance(steps, int) else None,
        done=counts.get("done", 0),
        states=counts,
        bytes=size,
    )


def _state(folder: ExperimentFolder, counts: dict[str, int]) -> State:
    if seems_locked(folder.lock):
        return "running"
    if not counts or counts.get("waiting") or counts.get("running"):
        return "interrupted"
    return "failed" if counts.get("failed") else "done"
