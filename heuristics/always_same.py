"""``AlwaysSame``: the same column until it is full."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from connectfour.games.connect_four.bitboard import Bits, Mask, Moves, pick_legal
from heuristics.base import Heuristic, State


class AlwaysSame(Heuristic):
    """Draws a random column, plays it until it is full, then draws another.

    The state is the 0-based column plus 1, or 0 before the first move.
    """

    name = "always_same"
    state_size = 1

    def choose(
        self, own: Bits, occupied: Bits, legal: Mask, state: State, uniform: NDArray[np.float64]
    ) -> tuple[Moves, State]:
        """Repeat the column in ``state`` where it is legal, and draw a new one elsewhere."""
        kept = state[:, 0] - 1
        keep = (kept >= 0) & legal[np.arange(len(legal)), kept]
        columns = np.where(keep, kept, pick_legal(legal, uniform))
        return columns, columns[:, None] + 1
