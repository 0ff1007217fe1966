"""``Observation``: N positions as the players to move see them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Observation:
    """N positions in PettingZoo's format, each from the view of the player to move.

    Attributes:
        planes: the boards, (N, rows, columns, planes) int8; (N, 6, 7, 2) in Connect Four.
        action_mask: 1 where an action is legal, (N, actions) int8.
    """

    planes: NDArray[np.int8]
    action_mask: NDArray[np.int8]

    def __len__(self) -> int:
        """Return N."""
        return len(self.planes)

    def __getitem__(self, rows: NDArray[np.integer] | slice) -> Observation:
        """Return the positions selected by ``rows``."""
        return Observation(self.planes[rows], self.action_mask[rows])
