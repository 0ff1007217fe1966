"""Frozen weights on disk: safetensors files, and the manifest that names them with their hashes.

A file is written under a temporary name, flushed and renamed; the manifest that names it is written last, in the same
way. So whatever is interrupted, the folder holds a manifest whose files are whole. A file that the manifest does not
name, or whose hash differs, is refused. Nothing here unpickles.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load, save

from connectfour.config import NetworkSettings
from connectfour.errors import SnapshotError
from connectfour.files import write_atomically
from connectfour.league.pool import SCHEMA_VERSION, Member

Weights = Mapping[str, NDArray[Any]]

_METADATA_KEY = "connectfour"


@dataclass(frozen=True)
class Snapshot:
    """Weights by parameter name, and the network that they belong to."""

    network: NetworkSettings
    weights: Weights


def weights_sha256(weights: Weights) -> str:
    """Hash names, shapes, dtypes and bytes of ``weights``, whatever their order."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        array = np.ascontiguousarray(weights[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def decode_snapshot(data: bytes, source: str) -> Snapshot:
    """Return the snapshot that a file's ``data`` holds; ``source`` names it in errors.

    Raises:
        SnapshotError: it does not hold one.
    """
    header_size = int.from_bytes(data[:8], "little")
    try:
        metadata = json.loads(json.loads(data[8 : 8 + header_size])["__metadata__"][_METADATA_KEY])
        return Snapshot(NetworkSettings.model_validate(metadata["network"]), load(data))
    except (ValueError, KeyError, TypeError, SafetensorError):
        raise SnapshotError(
            f"{source} holds no snapshot of this project's format: restore it from a copy of the run"
        ) from None


class SnapshotStore:
    """The ``league`` folder of a run."""

    def __init__(self, folder: Path) -> None:
        """Use ``folder``; it is created with the first file."""
        self.folder = folder
        self.manifest_file = folder / "manifest.json"

    def save(
        self,
        member_id: str,
        kind: Literal["snapshot", "main"],
        snapshot: Snapshot,
        *,
        iteration: int,
        env_steps: int,
    ) -> Member:
        """Write a snapshot's file and return the member that the manifest has to name."""
        weights_hash = weights_sha256(snapshot.weights)
        metadata = {
            "schema_version": SCHEMA_VERSION,
            "network": snapshot.network.model_dump(),
            "iteration": iteration,
            "env_steps": env_steps,
            "weights_sha256": weights_hash,
        }
        # safetensors writes its metadata in no fixed order: with a single key the same snapshot is the same file.
        data = save(
            {name: np.ascontiguousarray(array) for name, array in snapshot.weights.items()},
            {_METADATA_KEY: json.dumps(metadata)},
        )
        self.folder.mkdir(parents=True, exist_ok=True)
        file = f"{member_id}.safetensors"
        write_atomically(self.folder / file, data)
        return Member(
            id=member_id,
            kind=kind,
            file=file,
            sha256=hashlib.sha256(data).hexdigest(),
            weights_sha256=weights_hash,
            iteration=iteration,
            env_steps=env_steps,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        )

    def load(self, member: Member) -> Snapshot:
        """Read a member's weights.

        Raises:
            SnapshotError: the file is missing, its hash is not the manifest's, or it does not hold a snapshot.
        """
        return decode_snapshot(self.read(member), str(self.folder / str(member.file)))

    def read(self, member: Member) -> bytes:
        """Return a member's file as it is.

        Raises:
            SnapshotError: the file is missing, or its hash is not the manifest's.
        """
        path = self.folder / str(member.file)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            raise SnapshotError(f"{path} is missing, though the manifest names it: restore the file") from None
        if hashlib.sha256(data).hexdigest() != member.sha256:
            raise SnapshotError(
                f"{path} is damaged (its SHA-256 is not the manifest's): restore the file or remove the run"
            )
        return data

    def write_manifest(self, state: dict[str, Any]) -> None:
        """Write the pool's state as the manifest."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomically(self.manifest_file, (json.dumps(state, indent=1) + "\n").encode())

    def read_manifest(self) -> dict[str, Any] | None:
        """Return the manifest, or None where there is none yet.

        Raises:
            SnapshotError: it is not readable as a manifest of this version.
        """
        try:
            state = json.loads(self.manifest_file.read_text(encoding="utf-8"))
            version = state["schema_version"]
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (ValueError, KeyError, TypeError):
            raise SnapshotError(f"{self.manifest_file} is damaged: restore it from a copy of the run") from None
        if version != SCHEMA_VERSION:
            raise SnapshotError(
                f"{self.manifest_file} has schema version {version}, this release reads {SCHEMA_VERSION}: "
                "use the release that wrote it"
            )
        return dict(state)

    def members(self) -> dict[str, Member]:
        """Return what the manifest names, by id, main included; nothing where there is no manifest.

        Raises:
            SnapshotError: the manifest is damaged.
        """
        state = self.read_manifest() or {"members": []}
        try:
            rows = [*state["members"], *([state["main"]] if state.get("main") else [])]
            members = [Member.model_validate(row) for row in rows]
        except (KeyError, TypeError, ValidationError):
            raise SnapshotError(f"{self.manifest_file} is damaged: restore it from a copy of the run") from None
        return {member.id: member for member in members}
