"""Full-width search to a fixed depth that knows nothing but wins and losses."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from connectfour.games.connect_four.bitboard import COLUMNS, Bits, Columns, Mask, has_four, landing_cells
from heuristics.base import Heuristic, State, best_column

_NODES_AT_ONCE = 1 << 20


class Minimax(Heuristic):
    """Negamax of a given depth with zero evaluation at the leaves, centre first among equals.

    A win is worth more the sooner it comes and a loss less the later, so it does not put off a win it has found.
    The search is breadth-first over NumPy arrays: every level expands all boards of a chunk at once.
    """

    MAX_DEPTH = 8

    def __init__(self, depth: int = 2) -> None:
        """Search ``depth`` plies, 1 to ``MAX_DEPTH``."""
        self.depth = depth
        self.name = f"minimax:{depth}"

    def choose(
        self, own: Bits, occupied: Bits, legal: Mask, state: State, uniform: NDArray[np.float64]
    ) -> tuple[Columns, State]:
        """Search each board and play the column of the highest value."""
        at_once = max(1, _NODES_AT_ONCE // COLUMNS**self.depth)
        scores = [
            _column_values(own[start : start + at_once], occupied[start : start + at_once], self.depth)
            for start in range(0, len(own), at_once)
        ]
        return best_column(np.concatenate([np.zeros((0, COLUMNS), dtype=np.int8), *scores]), legal), state


def _column_values(own: Bits, occupied: Bits, depth: int) -> NDArray[np.int8]:
    """Return the value (N, 7) of each column to the player to move; a full column has the value of a certain loss.

    A win found with ``depth`` plies to go is worth ``depth``.
    """
    landing = landing_cells(occupied)
    is_legal = landing != 0
    wins = has_four(own[:, None] | landing) & is_legal
    values = np.where(wins, depth, np.where(is_legal, 0, -depth - 1)).astype(np.int8)
    expand = is_legal & ~wins
    if depth > 1 and expand.any():
        row, column = np.nonzero(expand)
        opponent = (own ^ occupied)[row]
        child_occupied = occupied[row] | landing[row, column]
        child_values = _column_values(opponent, child_occupied, depth - 1)
        no_move = ~(landing_cells(child_occupied) != 0).any(axis=1)
        values[row, column] = np.where(no_move, 0, -child_values.max(axis=1))
    return values
