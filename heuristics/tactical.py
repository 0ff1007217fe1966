"""``Tactical``: win, block, and avoid gifts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from connectfour.games.connect_four.bitboard import BOARD, Bits, has_four, landing_cells
from connectfour.games.contract import Actions, Mask
from heuristics.base import ConnectFourHeuristic, State, best_action

_WIN, _BLOCK, _SAFE = 4, 2, 1


class Tactical(ConnectFourHeuristic):
    """Wins if it can, else blocks, else avoids cells directly below a winning cell of the opponent.

    Ties go to the column nearest the center.
    """

    name = "tactical"

    def choose(
        self, own: Bits, occupied: Bits, legal: Mask, state: State, uniform: NDArray[np.float64]
    ) -> tuple[Actions, State]:
        """Score each column: a win counts more than a block, and a block more than safety."""
        opponent = (own ^ occupied)[:, None]
        landing = landing_cells(occupied)
        wins = has_four(own[:, None] | landing)
        blocks = has_four(opponent | landing)
        # The cell above is the next bit. Above the top cell that bit is the sentinel, which BOARD masks out.
        feeds = has_four(opponent | ((landing << np.uint64(1)) & BOARD))
        return best_action(wins * _WIN + blocks * _BLOCK + ~feeds * _SAFE, legal), state
