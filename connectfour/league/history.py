"""Copies of main's policy over the course of a run, kept to be evaluated later: ``snapshot:RUN/main@ITERATION``.

They are not members of the league: no game in training is played against them.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

from connectfour.errors import SnapshotError
from connectfour.system.files import write_atomically

if TYPE_CHECKING:
    from connectfour.league.snapshots import EncodedSnapshot

_FILE = re.compile(r"(\d+)-([0-9a-f]{12})\.safetensors")


class PolicyHistory:
    """Policies of main at ``points`` points, evenly spread over a run."""

    def __init__(self, folder: Path, points: int) -> None:
        """Keep them in ``folder``, which the first one creates."""
        self._folder, self._points = folder, points
        self._reached = 0

    def begin(self, share_done: float, iteration: int) -> None:
        """Go on from ``iteration``, at which a share of the run is done; what came after it has not happened."""
        self._reached = self._point(share_done)
        for later, path in kept_policies(self._folder).items():
            if later > iteration:
                path.unlink(missing_ok=True)

    def is_due(self, share_done: float) -> bool:
        """Return whether a point has been reached; each point is due once."""
        point = self._point(share_done)
        due, self._reached = point > self._reached, max(point, self._reached)
        return due

    def _point(self, share_done: float) -> int:
        return int(share_done * self._points + 1e-9)

    def keep(self, encoded: EncodedSnapshot) -> None:
        """Write a policy; the file's name carries its iteration and hash."""
        self._folder.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256(encoded.data).hexdigest()[:12]
        write_atomically(self._folder / f"{encoded.iteration:06d}-{digest}.safetensors", encoded.data)


def kept_policies(folder: Path) -> dict[int, Path]:
    """Return the files of the policies in ``folder`` by iteration, the earliest first; none if it does not exist."""
    found = ((_FILE.fullmatch(path.name), path) for path in folder.glob("*.safetensors"))
    return dict(sorted((int(match[1]), path) for match, path in found if match))


def read_policy(path: Path) -> bytes:
    """Return the bytes of a kept policy.

    Raises:
        SnapshotError: the file cannot be read, or does not match the hash in its name.
    """
    match = _FILE.fullmatch(path.name)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SnapshotError(f"{path} cannot be read: {error.strerror}; restore the file") from None
    if match is None or hashlib.sha256(data).hexdigest()[:12] != match[2]:
        raise SnapshotError(f"{path} is damaged (its SHA-256 does not match its name): restore the file or remove it")
    return data
