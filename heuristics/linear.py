"""``Linear``: extend the longest line."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from connectfour.games.connect_four.bitboard import Bits, four_lines, landing_cells
from connectfour.games.contract import Actions, Mask
from heuristics.base import ConnectFourHeuristic, State, best_action

_LINES = four_lines()


class Linear(ConnectFourHeuristic):
    """Extends its longest open line and ignores the opponent's. Ties go to the column nearest the center.

    Of the 69 lines of four, a line is open if it holds no disc of the opponent. Its length is the number of own discs
    on it.
    """

    name = "linear"

    def choose(
        self, own: Bits, occupied: Bits, legal: Mask, state: State, uniform: NDArray[np.float64]
    ) -> tuple[Actions, State]:
        """Score each column by the longest open line through its landing cell, or -1 without one."""
        opponent = own ^ occupied
        open_line = (opponent[:, None] & _LINES) == 0
        length = np.where(open_line, np.bitwise_count(own[:, None] & _LINES).astype(np.int8), -1)
        through = (landing_cells(occupied)[:, :, None] & _LINES) != 0
        longest = np.where(through, length[:, None, :], -1).max(axis=2)
        return best_action(longest, legal), state
