"""Players ready to travel to another process."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True)
class PackedPlayer:
    """All it takes to build a player in another process, on another machine.

    Attributes:
        name: the player's name in tables.
        kind: ``heuristic``, ``snapshot``, ``main`` or ``onnx``.
        data: the file of a network's weights or model; the name of a heuristic.
        iteration: training iteration in which it was frozen.
        graded: share of solved positions (dev half) in which its move keeps the result, as its run's manifest notes it.
    """

    name: str
    kind: str
    data: bytes
    iteration: int | None = None
    graded: float | None = None

    @property
    def is_network(self) -> bool:
        """Whether it plays the policy of a network rather than rules."""
        return self.kind != "heuristic"

    @property
    def sha256(self) -> str:
        """Hash of kind and data: identifies the player whatever its name."""
        return hashlib.sha256(self.kind.encode() + b"\0" + self.data).hexdigest()

    @property
    def data_sha256(self) -> str:
        """Hash of the data alone: for a snapshot, the one in the league's manifest."""
        return hashlib.sha256(self.data).hexdigest()
