"""``Minimax``: full-width search to a fixed depth."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from connectfour.games.connect_four.bitboard import COLUMNS, Bits, EveryMove, Mask, Moves
from heuristics.base import Heuristic, State, best_column

_NODES_AT_ONCE = 1 << 20


class Minimax(Heuristic):
    """Negamax that evaluates unfinished games as 0. Ties go to the column nearest the center.

    Sooner wins and later losses are worth more, so it does not postpone a win it has found. The search is
    breadth-first: each level expands all positions of a chunk in one NumPy call.
    """

    MAX_DEPTH = 8

    def __init__(self, depth: int = 2) -> None:
        """Search ``depth`` plies, from 1 to ``MAX_DEPTH``."""
        self.depth = depth
        self.name = f"minimax:{depth}"

    def choose(
        self, own: Bits, occupied: Bits, legal: Mask, state: State, uniform: NDArray[np.float64]
    ) -> tuple[Moves, State]:
        """Play the column with the highest value."""
        chunk = max(1, _NODES_AT_ONCE // COLUMNS**self.depth)
        values = [
            _column_values(own[start : start + chunk], occupied[start : start + chunk], self.depth)
            for start in range(0, len(own), chunk)
        ]
        return best_column(np.concatenate([np.zeros((0, COLUMNS), dtype=np.int8), *values]), legal), state


def _column_values(own: Bits, occupied: Bits, depth: int) -> NDArray[np.int8]:
    """Return the value of each column (N, 7) for the player to move, searching ``depth`` plies.

    A win with the first of these plies is worth ``depth``; full columns are worth less than any loss.
    """
    moves = EveryMove(own, occupied)
    values = np.where(moves.wins, depth, np.where(moves.legal, 0, -depth - 1)).astype(np.int8)
    if depth > 1:
        values[moves.goes_on] = -_column_values(*moves.children(), depth - 1).max(axis=1)
    return values
