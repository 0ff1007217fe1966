"""What a player sees of N positions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Observation:
    """N positions as PettingZoo shows them to the players to move.

    Attributes:
        planes: the board, (N, rows, columns, planes); (N, 6, 7, 2) int8 in Connect Four.
        action_mask: 1 where an action is legal, (N, actions) int8.
    """

    planes: NDArray[np.int8]
    action_mask: NDArray[np.int8]

    def __len__(self) -> int:
        """Return N."""
        return len(self.planes)

    def __getitem__(self, rows: NDArray[np.integer] | slice) -> Observation:
        """Return the positions that ``rows`` selects."""
        return Observation(self.planes[rows], self.action_mask[rows])
