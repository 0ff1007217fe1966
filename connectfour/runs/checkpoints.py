"""A checkpoint's folder: how far training had progressed, and whether the checkpoint is whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ValidationError

from connectfour.system.sealed import INDEX, fault_in

CHECKPOINT_POLICY = "main.safetensors"
"""File of a checkpoint with main's weights, readable without RLlib and without unpickling."""

_OLD_INDEX = "league_checkpoint.json"


class _Index(BaseModel):
    iteration: int
    env_steps: int
    minutes: float
    league_size: int = 0
    files: dict[str, str | int]


@dataclass(frozen=True)
class CheckpointInfo:
    """How far training had progressed in a checkpoint."""

    path: Path
    iteration: int
    env_steps: int
    minutes: float
    league_size: int


def read_checkpoint(path: Path) -> CheckpointInfo | None:
    """Return what a checkpoint's index says, or None if there is none: the checkpoint is incomplete."""
    index = _read_index(path)
    return CheckpointInfo(path, **index.model_dump(exclude={"files"})) if index else None


def checkpoint_fault(path: Path) -> str | None:
    """Return why a checkpoint cannot be used, as a short clause; None if all its files are as they were written.

    Checkpoints of earlier releases list only the sizes of their files.
    """
    index = _read_index(path)
    return fault_in(path, index.files) if index else "it is incomplete"


def find_checkpoints(folder: Path) -> Iterator[Path]:
    """Yield the checkpoints in all parts of a run, whole or not; ``folder`` holds the parts."""
    for path in folder.glob("*/checkpoint_*"):
        if path.is_dir():
            yield path


def _read_index(path: Path) -> _Index | None:
    for name in (INDEX, _OLD_INDEX):
        try:
            return _Index.model_validate_json((path / name).read_bytes())
        except (OSError, ValidationError):
            continue
    return None
