"""``PolicyRollout``: a rollout with what main's policy network said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from connectfour.games.contract import Game
from connectfour.learning.rollout import Float32s, Rollout


@dataclass
class PolicyRollout(Rollout):
    """A rollout of a policy network; its attributes are undefined where ``by_main`` is false.

    Attributes:
        logits: main's masked logits, (T, N, actions) float32.
        log_probability: log-probability of the move.
        value: main's value of the position for the player to move.
    """

    logits: Float32s
    log_probability: Float32s
    value: Float32s

    @classmethod
    @override
    def arrays(cls, game: Game, shape: tuple[int, int]) -> dict[str, NDArray[Any]]:
        own = {
            "logits": np.zeros((*shape, game.actions), np.float32),
            "log_probability": np.zeros(shape, np.float32),
            "value": np.zeros(shape, np.float32),
        }
        return {**super().arrays(game, shape), **own}
