"""The runs in a folder, and what can be known of each from its files.

Files are read and nothing is locked, so no training is disturbed.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict

from connectfour.errors import ConnectFourError, RunFolderError
from connectfour.runs.checkpoints import CheckpointInfo, find_checkpoints, read_checkpoint
from connectfour.runs.folder import RunFolder
from connectfour.runs.progress import limit_reached, number_in, read_rows
from connectfour.settings.reading import load_settings
from connectfour.settings.schema import RunSettings, StopSettings

T = TypeVar("T")

_LIMITED = ("minutes", "env_steps", "league_size")

State = Literal["running", "done", "failed", "interrupted"]
"""What became of a run.

``running``: a command trains in it now, as far as the note in its lock says. ``done``: it has reached a limit of the
section ``stop``. ``failed``: an error ended its newest part. ``interrupted``: Ctrl-C or a kill did, and it can be
resumed.
"""


class RunReport(BaseModel):
    """What is known of a run. A figure is None if the run has not got that far, or the file that says it is damaged.

    Attributes:
        name: name of its folder.
        path: its folder.
        state: what became of it.
        written: when a file of it was last written.
        algorithm: its learning algorithm.
        iteration: its latest training iteration.
        minutes: minutes of training.
        env_steps: env steps sampled.
        win_rate: main's points per game against the run's own pool.
        graded: main's grade on the dev half of the solved positions.
        bytes: size of all its files.
        faults: what is wrong with its files, as sentences.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    path: str
    state: State
    written: datetime
    algorithm: str | None
    iteration: int | None
    minutes: float | None
    env_steps: int | None
    win_rate: float | None
    graded: float | None
    bytes: int
    faults: tuple[str, ...] = ()


def list_runs(folder: Path) -> list[RunReport]:
    """Return the runs in ``folder``, the one that was written last first.

    Raises:
        RunFolderError: there is no such folder.
    """
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise RunFolderError(f"{folder} {what}: name a folder of runs, or start one with connectfour train")
    reports = [report_run(path) for path in folder.iterdir() if path.is_dir() and _looks_like_a_run(RunFolder(path))]
    return sorted(reports, key=lambda report: report.written, reverse=True)


def _looks_like_a_run(run: RunFolder) -> bool:
    """Return whether one of the files is there that only runs have; a folder that cannot be read might hold them."""
    try:
        return any(path.exists() for path in (run.config, run.progress, run.manifest, run.checkpoints))
    except OSError:
        return True


def report_run(path: Path) -> RunReport:
    """Return what is known of the run in ``path``."""
    run, faults = RunFolder(path), list[str]()

    def known(read: Callable[[], T]) -> T | None:
        """Return what can be read; otherwise note why it cannot."""
        try:
            return read()
        except ConnectFourError as error:
            faults.append(str(error))
        except OSError as error:
            faults.append(f"cannot read {error.filename}: {error.strerror}; check its permissions")
        return None

    settings: RunSettings | None = known(lambda: load_settings(run.config, stored=True))
    row = (known(lambda: read_rows(run.progress)) or [{}])[-1]
    main = known(lambda: _main_in_manifest(run)) or {}
    checkpoint = known(lambda: _furthest_checkpoint(run))
    failed = known(lambda: any((part / "error.txt").exists() for part in run.parts[-1:]))
    size, written = measure_folder(path)
    return RunReport(
        name=path.name,
        path=str(path),
        state=_state(run, settings.stop if settings else None, checkpoint, row, failed=bool(failed)),
        written=datetime.fromtimestamp(written, UTC),
        algorithm=settings.algorithm if settings else None,
        iteration=_whole(number_in(row, "iteration")) or (checkpoint and checkpoint.iteration),
        minutes=_finite(number_in(row, "minutes")) or (checkpoint and checkpoint.minutes),
        env_steps=_whole(number_in(row, "env_steps")) or (checkpoint and checkpoint.env_steps),
        win_rate=_finite(number_in(row, "win_rate")),
        graded=_grade(row, main),
        bytes=size,
        faults=tuple(faults),
    )


def _state(
    run: RunFolder,
    limits: StopSettings | None,
    checkpoint: CheckpointInfo | None,
    row: dict[str, str],
    *,
    failed: bool,
) -> State:
    """Return what became of a run. A checkpoint says more than ``row``: a resumed run starts from it."""
    if run.seems_in_use:
        return "running"
    progress: Mapping[str, float] = (
        {name: getattr(checkpoint, name) for name in _LIMITED}
        if checkpoint
        else {name: number_in(row, name) for name in _LIMITED}
    )
    if limits and limit_reached(limits, **progress):
        return "done"
    return "failed" if failed else "interrupted"


def _furthest_checkpoint(run: RunFolder) -> CheckpointInfo | None:
    """Return the checkpoint that is furthest in training; its files are not compared with their hashes."""
    found = (info for info in map(read_checkpoint, find_checkpoints(run.checkpoints)) if info)
    return max(found, key=lambda info: info.iteration, default=None)


def _main_in_manifest(run: RunFolder) -> dict[str, Any]:
    """Return what the manifest says about main; nothing before its first checkpoint."""
    try:
        main = json.loads(run.manifest.read_bytes()).get("main")
    except FileNotFoundError:
        return {}
    except (ValueError, AttributeError, RecursionError):
        raise RunFolderError(f"{run.manifest} is damaged: restore it from a copy of the run") from None
    return main if isinstance(main, dict) else {}


def _grade(row: dict[str, str], main: dict[str, Any]) -> float | None:
    """Return main's latest grade: saving a checkpoint grades main after the row of its iteration is written."""
    graded, in_row = main.get("graded"), _finite(number_in(row, "value_preserving"))
    iteration = main.get("iteration")
    is_latest = isinstance(iteration, int) and not iteration < number_in(row, "iteration")
    return _finite(graded) if isinstance(graded, float) and (is_latest or in_row is None) else in_row


def measure_folder(folder: Path) -> tuple[int, float]:
    """Return the size of all files in ``folder`` in bytes, and when one was last written, locks and notes aside."""
    size, written = 0, 0.0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                found = Path(parent, name).lstat()
            except OSError:  # training has just removed it
                continue
            size += found.st_size
            if not name.startswith("."):
                written = max(written, found.st_mtime)
    return size, written or folder.lstat().st_mtime


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def _whole(number: float) -> int | None:
    return int(number) if math.isfinite(number) else None
