"""``Random``: uniformly random."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from connectfour.games.connect_four.bitboard import Bits, Mask, Moves, pick_legal
from heuristics.base import Heuristic, State


class Random(Heuristic):
    """Plays every legal column with the same probability."""

    name = "random"

    def choose(
        self, own: Bits, occupied: Bits, legal: Mask, state: State, uniform: NDArray[np.float64]
    ) -> tuple[Moves, State]:
        """Draw one legal column per board."""
        return pick_legal(legal, uniform), state
