"""``BeatLast``: on top of the opponent's last disc."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from connectfour.games.connect_four.bitboard import COLUMNS, Bits, landing_cells
from connectfour.games.contract import Actions, Mask
from heuristics.base import ConnectFourHeuristic, State, best_action

_DISTANCE = np.abs(np.arange(COLUMNS)[:, None] - np.arange(COLUMNS)[None, :])
_CENTER = COLUMNS // 2


class BeatLast(ConnectFourHeuristic):
    """Plays on top of the opponent's last disc, or in the nearest legal column if that column is full.

    The state holds all discs as they were before the heuristic's own last move, which makes the opponent's last disc
    the only new one. If there is no single new disc, because the heuristic moves first or takes over a game in
    progress, it plays as near to the center as it can.
    """

    name = "beat_last"
    state_size = 1

    def choose(
        self, own: Bits, occupied: Bits, legal: Mask, state: State, uniform: NDArray[np.float64]
    ) -> tuple[Actions, State]:
        """Find the opponent's last disc and play on top of it."""
        before = state[:, 0].astype(np.uint64) | own
        new = occupied & ~before
        # The opponent's disc lies where a disc would have landed before the opponent moved.
        is_last = (landing_cells(before) == new[:, None]) & (new != 0)[:, None]
        target = np.where(is_last.any(axis=1), np.argmax(is_last, axis=1), _CENTER)
        return best_action(-_DISTANCE[target], legal), occupied.astype(np.int64)[:, None]
