"""A run's folder: every file name in it, and the checks before a run resumes.

    runs/NAME/
      config.yaml                the settings as used
      progress.csv               one row per iteration
      learning.png               learning curves, drawn when training ends
      checkpoints/part_1/…       RLlib checkpoints; each resume starts a new part
      league/manifest.json       the members of the league, with hashes
      league/notices.log         what happened to processes of the run: lost, restarted, waited for
      league/v0001-….safetensors a frozen snapshot; main-….safetensors is the newest checkpoint's policy
      history/000040-….safetensors  copies of main over the course of the run (see checkpoint.history)
      matches.jsonl              every ranked game
      leaderboard.csv  crosstable.csv  leaderboard.png
      model.onnx                 the best policy
      app/                       the bundle that the web app serves

Rankings and bundles use the same file names in any folder.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from connectfour.errors import RunFolderError
from connectfour.runs.checkpoints import CheckpointInfo, find_checkpoints, read_checkpoint
from connectfour.settings.describing import get_setting
from connectfour.settings.reading import dump_settings, load_settings
from connectfour.settings.schema import RunSettings
from connectfour.system.files import locked, seems_locked, write_atomically
from connectfour.system.sealed import fault_in

MANIFEST = "manifest.json"
"""File in a league folder that names its members."""

LEAGUE_LOCK = ".lock"
"""File in a league folder that its trainer locks for as long as it lives."""

NOTICES = "notices.log"
"""File in a league folder with the trainer's notices."""

HISTORY = "history"
"""Folder beside a league folder with copies of main over the course of the run."""

LEAGUE_FILES = ("league/*", f"{HISTORY}/*")
"""What a trainer writes into a run, as patterns of ``storage.mirror``; Tune writes its checkpoints."""

COMMANDS_FILES = ("config.yaml", "progress*.csv", "learning.png")
"""What the command that trains writes into a run."""

RANKING_FILES = ("matches.jsonl", "leaderboard.*", "crosstable.csv")
"""What a ranking writes into a run."""

CHECKPOINT_INDEXES = "checkpoints/*/sealed.json"
"""What says how far training was in each checkpoint."""

_LOCK = ".lock"
_MOST_SECONDS_OF_A_KILLED_TRAINER = 30.0

_FIXED_SETTINGS = ("game", "network", "league.opponents", "league.opponent_count")


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run; creating this object reads and writes nothing.

    Attributes:
        path: the folder.
        address: what users call it if it is a copy of a folder in an object store.
    """

    path: Path
    address: str = ""

    def __str__(self) -> str:
        """Return what users call it."""
        return self.address or str(self.path)

    @property
    def config(self) -> Path:
        """The settings as used."""
        return self.path / "config.yaml"

    @property
    def progress(self) -> Path:
        """One row per training iteration."""
        return self.path / "progress.csv"

    @property
    def learning_curves(self) -> Path:
        """Picture of the learning curves."""
        return self.path / "learning.png"

    @property
    def checkpoints(self) -> Path:
        """Folder of RLlib's checkpoints."""
        return self.path / "checkpoints"

    @property
    def session(self) -> Path:
        """Names the temporary folder of the Ray that trains this run; there while a command runs, or was killed."""
        return self.path / ".session"

    @property
    def notices(self) -> Path:
        """The trainer's notices about processes that were lost."""
        return self.league / NOTICES

    @property
    def league(self) -> Path:
        """Folder of snapshots and manifest."""
        return self.path / "league"

    @property
    def manifest(self) -> Path:
        """Members of the league with their hashes."""
        return self.league / MANIFEST

    @property
    def history(self) -> Path:
        """Folder of copies of main over the course of the run."""
        return self.path / HISTORY

    @property
    def match_log(self) -> Path:
        """Every ranked game."""
        return self.path / "matches.jsonl"

    @property
    def leaderboard(self) -> Path:
        """Ranking as a table."""
        return self.path / "leaderboard.csv"

    @property
    def leaderboard_picture(self) -> Path:
        """Ranking as a picture."""
        return self.path / "leaderboard.png"

    @property
    def crosstable(self) -> Path:
        """Scores of every player against every other."""
        return self.path / "crosstable.csv"

    @property
    def model(self) -> Path:
        """The best policy, exported."""
        return self.path / "model.onnx"

    @property
    def bundle(self) -> Path:
        """Folder that the web app serves."""
        return self.path / "app"

    @property
    def seems_in_use(self) -> bool:
        """Whether a command trains here, judging by the note in its lock; the lock is not touched."""
        return seems_locked(self.path / _LOCK)

    @property
    def parts(self) -> list[Path]:
        """The folders of the run's parts, the newest last."""
        parts = self.checkpoints.glob("part_*")
        return sorted((part for part in parts if re.fullmatch(r"part_\d+", part.name)), key=_number)

    def check_new(self) -> None:
        """Check that a new run can use this folder.

        Raises:
            RunFolderError: it already has contents, or another process is training in it.
        """
        if not self.path.exists():
            return
        if not self.path.is_dir():
            raise RunFolderError(f"{self} is a file: choose another --run-dir")
        contents = {file.name for file in self.path.iterdir()}
        if all(name.startswith(".") for name in contents):  # what a command that was killed at once leaves
            return
        if _LOCK in contents:
            with self.lock():
                pass
        hint = f", or resume it: connectfour train --resume {self}" if self.config.is_file() else ""
        raise RunFolderError(f"{self} already exists: choose another --run-dir{hint}")

    def check_run(self) -> None:
        """Check that this is the folder of a run.

        Raises:
            RunFolderError: it is not.
        """
        if not self.config.is_file():
            what = "is not a run folder (config.yaml is missing)" if self.path.exists() else "does not exist"
            raise RunFolderError(f"{self} {what}: name a folder written by connectfour train")

    def write_settings(self, settings: RunSettings) -> None:
        """Write ``config.yaml``."""
        write_atomically(self.config, dump_settings(settings).encode())

    def read_settings(self, overrides: list[str]) -> RunSettings:
        """Return the settings of an existing run with ``overrides`` applied.

        Raises:
            RunFolderError: the folder holds no run, or an override changes a setting that checkpoints depend on.
            ConfigError: as ``load_settings``.
        """
        self.check_run()
        before = load_settings(self.config, stored=True)
        for override in overrides:
            name, _, value = override.partition("=")
            if name.strip() == "algorithm" and value.strip() != before.algorithm:
                raise RunFolderError(
                    f"{self} is a run of algorithm={before.algorithm} and cannot be resumed with "
                    f"algorithm={value.strip()}: start a new run, in which its policies can be league.opponents"
                )
        after: RunSettings = load_settings(self.config, overrides, stored=True)
        self._check_fixed(before, after)
        return after

    def check_settings(self, settings: RunSettings) -> None:
        """Check that an existing run can go on with ``settings``.

        Raises:
            RunFolderError: they change what checkpoints depend on.
        """
        before = load_settings(self.config, stored=True)
        if before.algorithm != settings.algorithm:
            raise RunFolderError(
                f"{self} is a run of algorithm={before.algorithm} and cannot go on with "
                f"algorithm={settings.algorithm}: choose another --run-dir"
            )
        self._check_fixed(before, settings)

    @staticmethod
    def _check_fixed(before: RunSettings, after: RunSettings) -> None:
        for name in _FIXED_SETTINGS:
            if get_setting(before, name) != get_setting(after, name):
                raise RunFolderError(
                    f"{name} cannot change once a run has begun (it is {get_setting(before, name)}): start a new run"
                )

    def newest_checkpoint(self, say: Callable[[str], None] = lambda _: None) -> CheckpointInfo | None:
        """Return the whole checkpoint that is furthest in training, or None if training never finished one.

        Every file is compared with its hash. ``say`` gets a sentence for each checkpoint that was skipped.

        Raises:
            RunFolderError: there are checkpoints, but none is whole.
        """
        found = sorted(find_checkpoints(self.checkpoints), key=_progress, reverse=True)
        skipped: list[str] = []
        for path in found:
            fault, info = fault_in(path), read_checkpoint(path)
            if info and not fault:
                break
            skipped.append(f"Skipping the checkpoint {path}: {fault}.")
        else:
            info = None
        if info is None and any(map(read_checkpoint, found)):
            raise RunFolderError(
                f"{self} has no whole checkpoint to resume from: start over in another folder ({' '.join(skipped)})"
            )
        for sentence in skipped:
            say(sentence)
        return info

    @contextmanager
    def lock(self, seconds: float = 0.0) -> Iterator[None]:
        """Keep other commands out of this folder; the lock ends with the process, however it ends.

        The trainer of a command that was killed lives on for a moment and may still write: it holds a lock of its own,
        on the league, which this waits for.

        A folder that it had to create, and in which nothing was written, is removed again.

        Args:
            seconds: how long to wait for another command.

        Raises:
            RunFolderError: another process is training here; the message names it.
        """

        def refusal(owner: str) -> RunFolderError:
            return RunFolderError(f"{owner} is training in {self}: wait for it or stop it")

        made = [folder for folder in (self.path, *self.path.parents) if not folder.exists()]
        self.path.mkdir(parents=True, exist_ok=True)
        with locked(self.path / _LOCK, refusal, seconds=seconds):
            if self.league.is_dir():
                with locked(self.league / LEAGUE_LOCK, refusal, seconds=_MOST_SECONDS_OF_A_KILLED_TRAINER):
                    pass
            try:
                yield
            finally:
                if made and {file.name for file in self.path.iterdir()} <= {_LOCK, f"{_LOCK}.owner"}:
                    for file in self.path.iterdir():
                        file.unlink()
                    for folder in made:
                        folder.rmdir()

    def next_part(self) -> str:
        """Return the name of the next part of the run."""
        return f"part_{max(map(_number, self.parts), default=0) + 1}"


def _number(part: Path) -> int:
    return int(part.name.removeprefix("part_"))


def _progress(checkpoint: Path) -> tuple[float, float]:
    """Return how far a checkpoint is in training; one that does not say so counts as the newest."""
    info = read_checkpoint(checkpoint)
    return (info.iteration if info else math.inf, checkpoint.stat().st_mtime)


def newest_run(folder: Path = Path("runs")) -> RunFolder | None:
    """Return the run in ``folder`` whose league changed most recently, or None."""
    runs = [run for path in folder.glob("*") if (run := RunFolder(path)).manifest.is_file()]
    return max(runs, key=lambda run: run.manifest.stat().st_mtime, default=None)
