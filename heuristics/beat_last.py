"""On top of the opponent's last disc."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from connectfour.games.connect_four.bitboard import COLUMNS, Bits, Columns, Mask, landing_cells
from heuristics.base import Heuristic, State, best_column

_DISTANCE = np.abs(np.arange(COLUMNS)[:, None] - np.arange(COLUMNS)[None, :])
_CENTRE = COLUMNS // 2


class BeatLast(Heuristic):
    """Plays on top of the opponent's last disc, or the nearest legal column if that one is full.

    The state holds all discs as they were before its own last move, so the opponent's last disc is the one that is new.
    Where there is no single new disc (it moves first, or joins a game in the middle), it plays nearest the centre.
    """

    name = "beat_last"
    state_size = 1

    def choose(
        self, own: Bits, occupied: Bits, legal: Mask, state: State, uniform: NDArray[np.float64]
    ) -> tuple[Columns, State]:
        """Find the new disc and answer on top of it."""
        before = state[:, 0].astype(np.uint64) | own
        new = occupied & ~before
        # A column's landing cell before the opponent's move is where its disc lies now.
        is_last = (landing_cells(before) == new[:, None]) & (new != 0)[:, None]
        target = np.where(is_last.any(axis=1), np.argmax(is_last, axis=1), _CENTRE)
        return best_column(-_DISTANCE[target], legal), occupied.astype(np.int64)[:, None]
