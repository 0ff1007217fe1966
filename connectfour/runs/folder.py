"""A run's folder: every file name in it, and the checks before a run resumes.

    runs/NAME/
      config.yaml                the settings as used
      progress.csv               one row per iteration
      learning.png               learning curves, drawn when training ends
      checkpoints/part_1/…       RLlib checkpoints; each resume starts a new part
      league/manifest.json       the members of the league, with hashes
      league/v0001.safetensors   a frozen snapshot; main.safetensors is the newest checkpoint's policy
      matches.jsonl              every ranked game
      leaderboard.csv  crosstable.csv  leaderboard.png
      model.onnx                 the best policy
      app/                       the bundle that the web app serves

Rankings and bundles use the same file names in any folder.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from connectfour.errors import RunFolderError
from connectfour.runs.checkpoints import CHECKPOINT_INDEX, CheckpointInfo, read_checkpoint
from connectfour.settings.reading import dump_settings, load_settings
from connectfour.settings.schema import RunSettings, get_setting
from connectfour.system.files import locked, write_atomically

MANIFEST = "manifest.json"
"""File in a league folder that names its members."""

_FIXED_SETTINGS = ("network", "league.heuristics", "league.guests", "league.opponent_count")


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run; creating this object reads and writes nothing."""

    path: Path

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
    def league(self) -> Path:
        """Folder of snapshots and manifest."""
        return self.path / "league"

    @property
    def manifest(self) -> Path:
        """Members of the league with their hashes."""
        return self.league / MANIFEST

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

    def check_new(self) -> None:
        """Check that a new run can use this folder.

        Raises:
            RunFolderError: it already has contents.
        """
        if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
            hint = f", or resume it: connectfour train --resume {self.path}" if self._complete_checkpoints() else ""
            raise RunFolderError(f"{self.path} already exists: choose another --run-dir{hint}")

    def create(self, settings: RunSettings) -> None:
        """Create the folder of a new run.

        Raises:
            RunFolderError: it already has contents.
        """
        self.check_new()
        self.path.mkdir(parents=True, exist_ok=True)
        self.write_settings(settings)

    def write_settings(self, settings: RunSettings) -> None:
        """Write ``config.yaml``."""
        write_atomically(self.config, dump_settings(settings).encode())

    def read_settings(self, overrides: list[str]) -> RunSettings:
        """Return the settings of an existing run with ``overrides`` applied.

        Raises:
            RunFolderError: the folder holds no run, or an override changes a setting that checkpoints depend on.
            ConfigError: as ``load_settings``.
        """
        if not self.config.is_file():
            what = "is not a run folder (config.yaml is missing)" if self.path.exists() else "does not exist"
            raise RunFolderError(f"{self.path} {what}: name a folder written by connectfour train")
        before = load_settings(self.config)
        for override in overrides:
            name, _, value = override.partition("=")
            if name.strip() == "algorithm" and value.strip() != before.algorithm:
                raise RunFolderError(
                    f"{self.path} is a run of algorithm={before.algorithm} and cannot be resumed with "
                    f"algorithm={value.strip()}: start a new run, in which its policies can be league.guests"
                )
        after = load_settings(self.config, overrides)
        for name in _FIXED_SETTINGS:
            if get_setting(before, name) != get_setting(after, name):
                raise RunFolderError(
                    f"{name} cannot change once a run has begun (it is {get_setting(before, name)}): start a new run"
                )
        return after

    def newest_checkpoint(self) -> CheckpointInfo:
        """Return the complete checkpoint that is furthest in training.

        Raises:
            RunFolderError: there is none.
        """
        complete = self._complete_checkpoints()
        if not complete:
            raise RunFolderError(f"{self.path} has no complete checkpoint to resume from: start over in another folder")
        return max(complete, key=lambda checkpoint: checkpoint.iteration)

    def _complete_checkpoints(self) -> list[CheckpointInfo]:
        found = [read_checkpoint(index.parent) for index in self.checkpoints.glob(f"*/*/{CHECKPOINT_INDEX}")]
        return [checkpoint for checkpoint in found if checkpoint]

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes from training in this folder; the lock ends with the process, however it ends.

        Raises:
            RunFolderError: another process is training here.
        """
        refusal = RunFolderError(f"another process is training in {self.path}: wait for it or stop it")
        with locked(self.path / ".lock", refusal):
            yield

    def next_part(self) -> str:
        """Return the name of the next part of the run."""
        numbers = [int(part.name.removeprefix("part_")) for part in self.checkpoints.glob("part_*")]
        return f"part_{max(numbers, default=0) + 1}"


def newest_run(folder: Path = Path("runs")) -> RunFolder | None:
    """Return the run in ``folder`` whose league changed most recently, or None."""
    runs = [run for path in folder.glob("*") if (run := RunFolder(path)).manifest.is_file()]
    return max(runs, key=lambda run: run.manifest.stat().st_mtime, default=None)
