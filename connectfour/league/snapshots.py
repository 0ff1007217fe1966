"""Frozen weights on disk: safetensors files with their hashes.

A file is written under a temporary name, flushed and renamed; the manifest that names it is written last, in the same
way. A file's name carries its hash, so nothing is ever replaced in place: even after an interruption, every snapshot
that the manifest names is whole, and two leagues never overwrite each other's files. A file that the manifest does not
name, or whose hash differs, is refused. Nothing here unpickles.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from connectfour.errors import SnapshotError
from connectfour.league.members import Member
from connectfour.runs.folder import MANIFEST
from connectfour.settings.network import Architecture
from connectfour.system.files import write_atomically

Weights = Mapping[str, NDArray[Any]]

_SCHEMA_VERSION = 1
_MAIN_FILE = re.compile(r"main(-[0-9a-f]{12})?\.safetensors")
_METADATA_KEY = "connectfour"


@dataclass(frozen=True)
class Snapshot:
    """Weights by parameter name, and the network they belong to."""

    network: Architecture
    weights: Weights


def weights_sha256(weights: Weights) -> str:
    """Return the hash of the names, shapes, dtypes and bytes of ``weights``, regardless of their order."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        array = np.ascontiguousarray(weights[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def decode_snapshot(data: bytes, source: str) -> Snapshot:
    """Return the snapshot in a file's ``data``; ``source`` names it in errors.

    Raises:
        SnapshotError: it is not a snapshot, or its weights are damaged.
    """
    expected = recorded_weights_sha256(data, source)
    try:
        snapshot = Snapshot(Architecture.model_validate(_metadata(data)["network"]), load(data))
    except (ValueError, KeyError, TypeError, SafetensorError, RecursionError):
        raise _not_a_snapshot(source) from None
    if weights_sha256(snapshot.weights) != expected:
        raise SnapshotError(f"{source} is damaged (its weights do not match their hash): restore it from a copy")
    return snapshot


def recorded_weights_sha256(data: bytes, source: str) -> str:
    """Return the hash of the weights that a file's ``data`` records; ``source`` names it in errors.

    Raises:
        SnapshotError: it is not a snapshot.
    """
    try:
        return str(_metadata(data)["weights_sha256"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise _not_a_snapshot(source) from None


def recorded_network(data: bytes, source: str) -> Architecture:
    """Return the network that a file's ``data`` records; ``source`` names it in errors.

    Raises:
        SnapshotError: it is not a snapshot.
    """
    try:
        return Architecture.model_validate(_metadata(data)["network"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise _not_a_snapshot(source) from None


def _metadata(data: bytes) -> dict[str, Any]:
    header_size = int.from_bytes(data[:8], "little")
    metadata: dict[str, Any] = json.loads(json.loads(data[8 : 8 + header_size])["__metadata__"][_METADATA_KEY])
    return metadata


def _not_a_snapshot(source: str) -> SnapshotError:
    return SnapshotError(f"{source} is not a snapshot in this project's format: restore it from a copy of the run")


@dataclass(frozen=True)
class EncodedSnapshot:
    """A snapshot as the bytes of a safetensors file, with what the manifest says about it."""

    data: bytes
    weights_sha256: str
    iteration: int
    env_steps: int


def encode_snapshot(snapshot: Snapshot, *, iteration: int, env_steps: int) -> EncodedSnapshot:
    """Encode a snapshot; the same snapshot gives the same bytes."""
    weights_hash = weights_sha256(snapshot.weights)
    metadata = {
        "schema_version": _SCHEMA_VERSION,
        "network": snapshot.network.model_dump(),
        "iteration": iteration,
        "env_steps": env_steps,
        "weights_sha256": weights_hash,
    }
    # safetensors writes several metadata keys in arbitrary order, a single one always in the same way.
    data = save(
        {name: np.ascontiguousarray(array) for name, array in snapshot.weights.items()},
        {_METADATA_KEY: json.dumps(metadata)},
    )
    return EncodedSnapshot(data, weights_hash, iteration, env_steps)


class SnapshotStore:
    """The snapshots in the ``league`` folder of a run."""

    def __init__(self, folder: Path) -> None:
        """Use ``folder``; the first file creates it."""
        self.folder = folder
        self.manifest = folder / MANIFEST

    def save(self, member_id: str, kind: Literal["snapshot", "guest", "main"], encoded: EncodedSnapshot) -> Member:
        """Write a snapshot's file and return the member for the manifest to name."""
        file, digest = self._write(member_id, encoded.data)
        return Member(
            id=member_id,
            kind=kind,
            file=file,
            sha256=digest,
            weights_sha256=encoded.weights_sha256,
            iteration=encoded.iteration,
            env_steps=encoded.env_steps,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        )

    def adopt(self, member: Member, data: bytes, suffix: str = ".safetensors") -> Member:
        """Write the file of a member that comes from elsewhere, and return the member with its new file."""
        file, digest = self._write(member.id, data, suffix)
        return member.model_copy(update={"file": file, "sha256": digest})

    def _write(self, member_id: str, data: bytes, suffix: str = ".safetensors") -> tuple[str, str]:
        """Write a file, and return its name and hash."""
        self.folder.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256(data).hexdigest()
        file = f"{member_id}-{digest[:12]}{suffix}"
        write_atomically(self.folder / file, data)
        return file, digest

    def remove_mains(self, kept: Collection[str | None]) -> None:
        """Remove the files of earlier states of main, except ``kept``."""
        for path in self.folder.iterdir():
            if _MAIN_FILE.fullmatch(path.name) and path.name not in kept:
                path.unlink(missing_ok=True)

    def holds(self, member: Member) -> bool:
        """Return whether a member's file is here and whole."""
        try:
            self.read(member)
        except SnapshotError:
            return False
        return True

    def load(self, member: Member) -> Snapshot:
        """Read a member's weights.

        Raises:
            SnapshotError: the file is missing, does not match the manifest's hash, or is not a snapshot.
        """
        return decode_snapshot(self.read(member), str(self.folder / str(member.file)))

    def read(self, member: Member) -> bytes:
        """Return the bytes of a member's file.

        Raises:
            SnapshotError: the file is missing, or does not match the manifest's hash.
        """
        path = self.folder / str(member.file)
        try:
            data = path.read_bytes()
        except (FileNotFoundError, IsADirectoryError):
            raise SnapshotError(f"{path} is missing, though the manifest names it: restore the file") from None
        if hashlib.sha256(data).hexdigest() != member.sha256:
            raise SnapshotError(
                f"{path} is damaged (its SHA-256 does not match the manifest): restore the file or remove the run"
            )
        return data
