"""What runs leave on the disk, and what removes it: checkpoints of earlier parts, and remains of killed processes."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

from connectfour.runs.checkpoints import find_checkpoints, read_checkpoint
from connectfour.runs.folder import RunFolder
from connectfour.system.files import write_atomically
from connectfour.system.processes import is_alive
from connectfour.system.sealed import is_sealed

# A file that ``system.files.replacing`` has not renamed yet, with the process that writes it.
_HALF_WRITTEN = re.compile(r"\..+\.(\d+)\.tmp(\..+)?")
_SNAPSHOT = re.compile(r"v\d+-[0-9a-f]{12}\.safetensors")
# Tune writes them anew in every part.
_TUNE_STATE = ("experiment_state-*.json", "basic-variant-state-*.json")


def note_session(run: RunFolder, session: Path) -> None:
    """Note the temporary folder of the Ray that this process runs for ``run``."""
    note = {
        "session": str(session),
        "host": socket.gethostname(),
        "process": os.getpid(),
        "run": str(run.path.resolve()),
    }
    write_atomically(run.session, json.dumps(note).encode())


def clear_leftovers(run: RunFolder) -> None:
    """Remove what a killed process left in a run that nobody trains in, and Ray's temporary folder of that process.

    Nothing is removed that might be of use: neither damaged checkpoints nor files of unknown origin.
    """
    for path in _leftovers(run):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _leftovers(run: RunFolder) -> Iterator[Path]:
    for folder in (run.path, run.league):
        for path in folder.glob(".*"):
            half_written = _HALF_WRITTEN.fullmatch(path.name)
            if half_written and not is_alive(int(half_written[1])):
                yield path
    yield from run.league.glob(".saving-*")
    checkpoints = list(find_checkpoints(run.checkpoints))
    if any(map(read_checkpoint, checkpoints)):
        yield from (path for path in checkpoints if not is_sealed(path))
    for pattern in _TUNE_STATE:
        yield from run.checkpoints.glob(pattern)
    yield from _unnamed_snapshots(run)
    yield from _dead_session(run)


def _unnamed_snapshots(run: RunFolder) -> Iterator[Path]:
    """Yield the snapshots that the manifest does not name: the process was killed between the two."""
    try:
        named = {member["file"] for member in json.loads(run.manifest.read_bytes())["members"]}
    except (OSError, ValueError, KeyError, TypeError):
        return  # nothing is certain
    yield from (path for path in run.league.iterdir() if _SNAPSHOT.fullmatch(path.name) and path.name not in named)


def _dead_session(run: RunFolder) -> Iterator[Path]:
    """Yield the temporary folder of a killed Ray, and the note about it."""
    try:
        note = json.loads(run.session.read_bytes())
        session, process = Path(note["session"]), int(note["process"])
        is_ours = (note["host"], note["run"]) == (socket.gethostname(), str(run.path.resolve()))
    except (OSError, ValueError, KeyError, TypeError):
        return
    if is_ours and not is_alive(process) and session.name.startswith("session_"):
        yield session
    yield run.session


def surplus_checkpoints(run: RunFolder, part: str, keep: int) -> list[Path]:
    """Return what to remove so that at most ``keep`` checkpoints are left in all parts of a run.

    Tune takes care of those in ``part``, which trains now. They displace those of earlier parts, the lowest league
    score first.
    """
    current = [path for path in find_checkpoints(run.checkpoints) if path.parent.name == part]
    earlier = [path for path in find_checkpoints(run.checkpoints) if path.parent.name != part]
    infos = sorted(
        (info for info in map(read_checkpoint, earlier) if info), key=lambda info: (info.league_score, info.iteration)
    )
    return [info.path for info in infos[: max(0, len(infos) + len(current) - keep)]]
