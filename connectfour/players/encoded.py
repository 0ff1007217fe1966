"""Players in a form that can be sent to another process."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

from connectfour.league.snapshots import recorded_weights_sha256
from connectfour.settings.game import CONNECT_FOUR, GameSettings

_KINDS_WITH_WEIGHTS = ("snapshot", "main")


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
        game: the game that it plays.
    """

    name: str
    kind: str
    data: bytes
    iteration: int | None = None
    graded: float | None = None
    game: GameSettings = CONNECT_FOUR

    @property
    def is_network(self) -> bool:
        """Whether the player follows the policy of a network."""
        return self.kind != "heuristic"

    @property
    def sha256(self) -> str:
        """Hash of kind and data, which identifies the player's file regardless of its name."""
        return hashlib.sha256(self.kind.encode() + b"\0" + self.data).hexdigest()

    @cached_property
    def weights_sha256(self) -> str | None:
        """Hash of a network's weights, the same in every run that holds a copy; None for heuristics and ONNX models.

        Raises:
            SnapshotError: the data of a network is not a snapshot.
        """
        return recorded_weights_sha256(self.data, self.name) if self.kind in _KINDS_WITH_WEIGHTS else None

    @property
    def identity(self) -> str:
        """What makes it the same player under any name: the hash of its weights, or without weights, of its data."""
        return self.weights_sha256 or self.sha256

    @property
    def data_sha256(self) -> str:
        """Hash of the data alone; the manifest lists it for snapshots."""
        return hashlib.sha256(self.data).hexdigest()
