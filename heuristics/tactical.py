"""One ply of attack, one of defence, one of caution."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from connectfour.games.connect_four.bitboard import BOARD, Bits, Columns, Mask, has_four, landing_cells
from heuristics.base import Heuristic, State, best_column

_WIN, _BLOCK, _SAFE = 4, 2, 1


class Tactical(Heuristic):
    """Wins at once if it can, else blocks, else does not play under a cell that lets the opponent win.

    Among equals it plays nearest the centre.
    """

    name = "tactical"

    def choose(
        self, own: Bits, occupied: Bits, legal: Mask, state: State, uniform: NDArray[np.float64]
    ) -> tuple[Columns, State]:
        """Score each column: winning above blocking above safe."""
        opponent = (own ^ occupied)[:, None]
        landing = landing_cells(occupied)
        wins = has_four(own[:, None] | landing)
        blocks = has_four(opponent | landing)
        # One cell up is the next bit; above a column's top it would be the sentinel, which is no cell.
        feeds = has_four(opponent | ((landing << np.uint64(1)) & BOARD))
        return best_column(wins * _WIN + blocks * _BLOCK + ~feeds * _SAFE, legal), state
