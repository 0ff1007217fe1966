"""A run's folder: what is where, and what it takes to resume it.

    runs/NAME/
      config.yaml            the settings as used
      progress.csv           one row an iteration
      learning.png           the same, drawn when training ends
      checkpoints/part_1/…   RLlib checkpoints
      league/                snapshots and the manifest

Each resumption begins a new part of the checkpoints.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from connectfour.config import RunSettings, dump_settings, get_setting, load_settings
from connectfour.errors import RunFolderError
from connectfour.files import write_atomically

CHECKPOINT_INDEX = "league_checkpoint.json"
"""File of a checkpoint that lists its other files with their sizes: a checkpoint that lacks one is incomplete."""


@dataclass(frozen=True)
class CheckpointInfo:
    """A complete checkpoint, and how far training was."""

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
    """Return what a checkpoint's index says, or None if the checkpoint is not complete."""
    try:
        index = json.loads((path / CHECKPOINT_INDEX).read_text())
        files = index.pop("files")
        checkpoint = CheckpointInfo(path, **index)
        complete = all((path / name).stat().st_size == size for name, size in files.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return checkpoint if complete else None


class RunFolder:
    """The folder of one run."""

    def __init__(self, path: Path) -> None:
        """Name a folder; nothing is read or written yet."""
        self.path = path
        self.config_file = path / "config.yaml"
        self.progress_file = path / "progress.csv"
        self.learning_picture = path / "learning.png"
        self.checkpoints = path / "checkpoints"
        self.league = path / "league"

    def create(self, settings: RunSettings) -> None:
        """Make the folder for a new run.

        Raises:
            RunFolderError: there is something already.
        """
        if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
            hint = f", or go on with it: connectfour train --resume {self.path}" if self._complete_checkpoints() else ""
            raise RunFolderError(f"{self.path} exists already: choose another --run-dir{hint}")
        self.path.mkdir(parents=True, exist_ok=True)
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
            if get_setting(before, name) != get_setting(after, name):
                raise RunFolderError(
                    f"{name} cannot change in a run that has begun (it is {get_setting(before, name)}): start a new run"
                )
        return after

    def newest_checkpoint(self) -> CheckpointInfo:
        """Return the complete checkpoint that is furthest in training.

        Raises:
            RunFolderError: there is none.
        """
        complete = self._complete_checkpoints()
        if not complete:
            raise RunFolderError(f"{self.path} has no complete checkpoint to resume from: train anew in another folder")
        return max(complete, key=lambda checkpoint: checkpoint.iteration)

    def _complete_checkpoints(self) -> list[CheckpointInfo]:
        found = [read_checkpoint(index.parent) for index in self.checkpoints.glob(f"*/*/{CHECKPOINT_INDEX}")]
        return [checkpoint for checkpoint in found if checkpoint]

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes from training in this folder; the lock ends with the process, however it ends.

        Raises:
            RunFolderError: another process trains here.
        """
        with (self.path / ".lock").open("w") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RunFolderError(f"another process trains in {self.path}: wait for it or stop it") from None
            yield

    def next_part(self) -> str:
        """Return the name of the next part of the run."""
        numbers = [int(part.name.removeprefix("part_")) for part in self.checkpoints.glob("part_*")]
        return f"part_{max(numbers, default=0) + 1}"
