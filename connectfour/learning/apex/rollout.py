"""``QRollout``: a rollout with main's Q-values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from connectfour.games.contract import Game
from connectfour.learning.rollout import Float32s, Rollout


@dataclass
class QRollout(Rollout):
    """A rollout of a Q-network.

    Attributes:
        q_values: main's masked Q-values of every position, also where an opponent moves, (T, N, actions) float32.
    """

    q_values: Float32s

    @classmethod
    @override
    def arrays(cls, game: Game, shape: tuple[int, int]) -> dict[str, NDArray[Any]]:
        return {**super().arrays(game, shape), "q_values": np.zeros((*shape, game.actions), np.float32)}
