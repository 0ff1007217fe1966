"""A checkpoint's folder: how far training had progressed. Whether it is whole, ``connectfour.system.sealed`` says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ValidationError

from connectfour.system.sealed import read_index

CHECKPOINT_POLICY = "main.safetensors"
"""File of a checkpoint with main's weights, readable without RLlib and without unpickling."""


class _Facts(BaseModel):
    iteration: int
    env_steps: int
    minutes: float
    league_size: int = 0
    league_score: float = 0.0


@dataclass(frozen=True)
class CheckpointInfo:
    """How far training had progressed in a checkpoint."""

    path: Path
    iteration: int
    env_steps: int
    minutes: float
    league_size: int
    league_score: float


def read_checkpoint(path: Path) -> CheckpointInfo | None:
    """Return what a checkpoint's index says, or None if there is none: the checkpoint is incomplete."""
    try:
        facts = _Facts.model_validate(read_index(path))
    except ValidationError:
        return None
    return CheckpointInfo(path, **facts.model_dump())


def find_checkpoints(folder: Path) -> Iterator[Path]:
    """Yield the checkpoints in all parts of a run, whole or not; ``folder`` holds the parts."""
    for path in folder.glob("*/checkpoint_*"):
        if path.is_dir():
            yield path
