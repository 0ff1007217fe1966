"""``Observation``: N positions as the players to move see them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Observation:
    """N positions, each from the view of the player to move.

    Attributes:
        planes: what it sees, (N, *observation_shape); (N, 6, 7, 2) int8 in Connect Four.
        action_mask: 1 where an action is legal, (N, actions) int8.
        boards: the positions themselves, for heuristics that read or search them; None where only planes are at hand,
            or where they would show what the player does not know.
    """

    planes: NDArray[Any]
    action_mask: NDArray[np.int8]
    boards: Any = None

    def __len__(self) -> int:
        """Return N."""
        return len(self.planes)

    def __getitem__(self, rows: NDArray[np.integer] | slice) -> Observation:
        """Return the positions selected by ``rows``."""
        boards = None if self.boards is None else self.boards[rows]
        return Observation(self.planes[rows], self.action_mask[rows], boards)
