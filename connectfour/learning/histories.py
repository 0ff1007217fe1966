"""``Histories``: hashes by which games in progress can be told apart when they end."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from connectfour.games.contract import Actions, Game, Packed

_FACTOR = np.uint64(0x9E3779B97F4A7C15)


class Histories:
    """A hash of all positions and actions of each of N games.

    Without chance, two games with the same hash are the same game. The last position alone would not tell: small games
    have few.

    Attributes:
        hashes: (N,) uint64.
    """

    def __init__(self, game: Game, count: int) -> None:
        """Begin ``count`` games."""
        row = np.ascontiguousarray(game.packed).view(np.uint8)
        # Odd weights: a difference in one byte always shows.
        self._weights = np.random.default_rng(0).integers(2**63, size=row.size, dtype=np.uint64) * np.uint64(2) + 1
        self.hashes = np.zeros(count, np.uint64)

    def restart(self, rows: NDArray[np.int64]) -> None:
        """Forget the games in ``rows``: others take their place."""
        self.hashes[rows] = 0

    def add(self, packed: Packed, actions: Actions) -> None:
        """Add the packed positions (N, ...) and the actions (N,) that are played there."""
        rows = np.ascontiguousarray(packed).view(np.uint8).reshape(len(packed), -1).astype(np.uint64)
        self.hashes = self.hashes * _FACTOR + rows @ self._weights + actions.astype(np.uint64)
