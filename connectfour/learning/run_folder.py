"""A run's folder: what is where, and what it takes to resume it.

runs/NAME/
config.yaml            the settings as used
progress.csv           one row an iteration
checkpoints/part_1/…   RLlib checkpoints; each resumption begins a new part
league/                snapshots and the manifest
"""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from connectfour.config import RunSettings, dump_settings, load_settings
from connectfour.errors import RunFolderError
from connectfour.league.snapshots import write_atomically

CHECKPOINT_INDEX = "league_checkpoint.json"
"""File of a checkpoint that lists its other files with their sizes: a checkpoint that lacks one is incomplete."""


@dataclass(frozen=True)
class CheckpointInfo:
    """A complete checkpoint, and how far training was."""

    path: Path
    iteration: int
    env_steps: int
    minutes: float


def write_checkpoint_index(folder: Path, *, iteration: int, env_steps: int, minutes: float) -> None:
    """List the files of a checkpoint that was just written."""
    sizes = {str(file.relative_to(folder)): file.stat().st_size for file in sorted(folder.rglob("*")) if file.is_file()}
    index = {"iteration": iteration, "env_steps": env_steps, "minutes": minutes, "files": sizes}
    (folder / CHECKPOINT_INDEX).write_text(json.dumps(index, indent=1) + "\n")


def read_checkpoint(path: Path) -> CheckpointInfo | None:
    """Return what a checkpoint's index says, or None if the checkpoint is not complete."""
    try:
        index = json.loads((path / CHECKPOINT_INDEX).read_text())
        complete = all((path / name).stat().st_size == size for name, size in index["files"].items())
        return CheckpointInfo(path, index["iteration"], index["env_steps"], index["minutes"]) if complete else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


class RunFolder:
    """The folder of one run."""

    def __init__(self, path: Path) -> None:
        """Name a folder; nothing is read or written yet."""
        self.path = path
        self.config_file = path / "config.yaml"
        self.progress_file = path / "progress.csv"
        self.checkpoints = path / "checkpoints"
        self.league = path / "league"

    def create(self, settings: RunSettings) -> None:
        """Make the folder for a new run.

        Raises:
            RunFolderError: there is something already.
        """
        if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
            hint = f", or go on with it: connectfour train --resume {self.path}" if self.config_file.is_file() else ""
            raise RunFolderError(f"{self.path} exists already: choose another --run-dir{hint}")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunFolderError(f"cannot create {self.path}: {error.strerror}; choose another --run-dir") from None
        self.write_settings(settings)

    def write_settings(self, settings: RunSettings) -> None:
        """Write ``config.yaml``."""
        write_atomically(self.config_file, dump_settings(settings).encode())

    def read_settings(self, overrides: list[str]) -> RunSettings:
        """Return the settings of an existing run with ``overrides``.

        Raises:
            RunFolderError: this is no run folder, or an override would change what the checkpoint is made of.
            ConfigError: as ``load_settings``.
        """
        if not self.config_file.is_file():
            what = "is no run folder (it has no config.yaml)" if self.path.exists() else "does not exist"
            raise RunFolderError(f"{self.path} {what}: name a folder that connectfour train has written")
        before, after = load_settings(self.config_file), load_settings(self.config_file, overrides)
        for name in ("network", "league.heuristics", "league.opponent_count"):
            old, new = (_dotted(settings, name) for settings in (before, after))
            if old != new:
                raise RunFolderError(f"{name} cannot change in a run that has begun (it is {old}): start a new run")
        return after

    def newest_checkpoint(self) -> CheckpointInfo:
        """Return the complete checkpoint that is furthest in training.

        Raises:
            RunFolderError: there is none.
        """
        found = [read_checkpoint(index.parent) for index in self.checkpoints.glob(f"*/*/{CHECKPOINT_INDEX}")]
        complete = [checkpoint for checkpoint in found if checkpoint]
        if not complete:
            raise RunFolderError(f"{self.path} has no complete checkpoint to resume from: start a new run")
        return max(complete, key=lambda checkpoint: checkpoint.iteration)

    def next_part(self) -> str:
        """Return the name of the next part of the run."""
        return f"part_{sum(1 for _ in self.checkpoints.glob('part_*')) + 1}"

    def rewind_progress(self, iteration: int) -> None:
        """Drop the rows of ``progress.csv`` after ``iteration``: the checkpoint that is resumed does not know them."""
        if not self.progress_file.is_file():
            return
        with self.progress_file.open(newline="") as stream:
            reader = csv.DictReader(stream)
            rows = [row for row in reader if (row["iteration"] or "").isdigit() and int(row["iteration"]) <= iteration]
            columns = list(reader.fieldnames or [])
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_atomically(self.progress_file, text.getvalue().encode())


def _dotted(settings: RunSettings, name: str) -> Any:
    value: Any = settings
    for part in name.split("."):
        value = getattr(value, part)
    return value
