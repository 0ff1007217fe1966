"""What runs leave on the disk, and what removes it: checkpoints of earlier parts, and remains of killed processes."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from connectfour.runs.checkpoints import find_checkpoints, read_checkpoint
from connectfour.runs.folder import RunFolder

# A file that ``system.files.replacing`` had not renamed yet.
_HALF_WRITTEN = re.compile(r"\..+\.\d+\.tmp(\..+)?")
# Tune writes them anew in every part.
_TUNE_STATE = ("experiment_state-*.json", "basic-variant-state-*.json")


def clear_leftovers(run: RunFolder) -> None:
    """Remove what a killed process left in a run that nobody trains in, and Ray's temporary folder of that process."""
    for path in _leftovers(run):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _leftovers(run: RunFolder) -> Iterator[Path]:
    for folder in (run.path, run.league):
        yield from (path for path in folder.glob(".*") if _HALF_WRITTEN.fullmatch(path.name))
    yield from run.league.glob(".saving-*")
    yield from (path for path in find_checkpoints(run.checkpoints) if read_checkpoint(path) is None)
    for pattern in _TUNE_STATE:
        yield from run.checkpoints.glob(pattern)
    yield from _unnamed_snapshots(run)
    if run.session.is_file():
        session = Path(run.session.read_text().strip())
        if session.name.startswith("session_"):
            yield session
        yield run.session


def _unnamed_snapshots(run: RunFolder) -> Iterator[Path]:
    """Yield the snapshots that the manifest does not name: the process was killed between the two."""
    try:
        manifest = json.loads(run.manifest.read_bytes())
        named = {member["file"] for member in [*manifest["members"], manifest.get("main") or {"file": None}]}
    except (OSError, ValueError, KeyError, TypeError):
        return  # nothing is certain
    yield from (path for path in run.league.glob("*.safetensors") if path.name not in named)


def prune_parts(run: RunFolder, part: str, keep: int) -> None:
    """Keep at most ``keep`` checkpoints in all parts of a run.

    Tune takes care of those in ``part``, which trains now. They displace those of earlier parts, the lowest league
    score first.
    """
    current = [path for path in find_checkpoints(run.checkpoints) if path.parent.name == part]
    earlier = [path for path in find_checkpoints(run.checkpoints) if path.parent.name != part]
    infos = sorted(
        (info for info in map(read_checkpoint, earlier) if info), key=lambda info: (info.league_score, info.iteration)
    )
    for info in infos[: max(0, len(infos) + len(current) - keep)]:
        shutil.rmtree(info.path, ignore_errors=True)
