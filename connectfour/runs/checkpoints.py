"""A checkpoint's folder: how far training had progressed, and whether the checkpoint is whole."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

CHECKPOINT_INDEX = "league_checkpoint.json"
"""File of a checkpoint that lists its other files with their sizes: if one is missing, the checkpoint is incomplete."""

CHECKPOINT_POLICY = "main.safetensors"
"""File of a checkpoint with main's weights, readable without RLlib and without unpickling."""


@dataclass(frozen=True)
class CheckpointInfo:
    """A complete checkpoint, and how far training had progressed."""

    path: Path
    iteration: int
    env_steps: int
    minutes: float
    league_size: int


def write_checkpoint_index(folder: Path, *, iteration: int, env_steps: int, minutes: float, league_size: int) -> None:
    """List the files of a checkpoint that was just written."""
    sizes = {str(file.relative_to(folder)): file.stat().st_size for file in sorted(folder.rglob("*")) if file.is_file()}
    reached = {"iteration": iteration, "env_steps": env_steps, "minutes": minutes, "league_size": league_size}
    (folder / CHECKPOINT_INDEX).write_text(json.dumps({**reached, "files": sizes}, indent=1) + "\n")


def read_checkpoint(path: Path) -> CheckpointInfo | None:
    """Return what a checkpoint's index says, or None if the checkpoint is incomplete."""
    try:
        index = json.loads((path / CHECKPOINT_INDEX).read_text())
        files = index.pop("files")
        checkpoint = CheckpointInfo(path, **index)
        complete = all((path / name).stat().st_size == size for name, size in files.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return checkpoint if complete else None
