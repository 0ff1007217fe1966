"""Four in a row, as straight as it goes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from connectfour.games.connect_four.bitboard import Bits, Columns, Mask, four_lines, landing_cells
from heuristics.base import Heuristic, State, best_column

_LINES = four_lines()


class Linear(Heuristic):
    """Extends the longest open line of its own through the landing cell, centre first among equals.

    A line is one of the 69 lines of four; it is open if it holds no disc of the opponent, and as long as it holds own
    discs. The opponent's lines do not interest it.
    """

    name = "linear"

    def choose(
        self, own: Bits, occupied: Bits, legal: Mask, state: State, uniform: NDArray[np.float64]
    ) -> tuple[Columns, State]:
        """Score each column by the longest open line through its landing cell, -1 where there is none."""
        opponent = own ^ occupied
        open_line = (opponent[:, None] & _LINES) == 0
        length = np.where(open_line, np.bitwise_count(own[:, None] & _LINES).astype(np.int8), -1)
        through = (landing_cells(occupied)[:, :, None] & _LINES) != 0
        longest = np.where(through, length[:, None, :], -1).max(axis=2)
        return best_column(longest, legal), state
