"""Players in a form that can be sent to another process."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True)
class EncodedPlayer:
    """A player as data, from which any process on any machine can build it.

    Attributes:
        name: the name of the player in tables.
        kind: ``heuristic``, ``snapshot``, ``main`` or ``onnx``.
        data: contents of a snapshot or model file, or the name of a heuristic.
        iteration: training iteration in which the weights were saved.
        graded: share of solved positions (dev half) in which the player's move preserves the result, according to the
            manifest of its run.
    """

    name: str
    kind: str
    data: bytes
    iteration: int | None = None
    graded: float | None = None

    @property
    def is_network(self) -> bool:
        """Whether the player follows the policy of a network."""
        return self.kind != "heuristic"

    @property
    def sha256(self) -> str:
        """Hash of kind and data, which identifies the player regardless of its name."""
        return hashlib.sha256(self.kind.encode() + b"\0" + self.data).hexdigest()

    @property
    def data_sha256(self) -> str:
        """Hash of the data alone; the manifest lists it for snapshots."""
        return hashlib.sha256(self.data).hexdigest()
