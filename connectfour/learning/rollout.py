"""What a lockstep rollout records; each learner's rollout adds what its network said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from connectfour.games.contract import Game, Packed

Float32s = NDArray[np.float32]


@dataclass
class Rollout:
    """T plies on N boards in lockstep; all arrays begin with the axes (T, N).

    Attributes:
        packed: the position before the move, packed.
        seat: the seat to move, 0 or 1 (int8).
        by_main: whether main chose the move.
        slip: whether a random move replaced main's.
        action: the move (int8, or int32 in a game with more actions).
        ended: whether the move ended the game.
        reward: what the player who moved gets for the move: its return if the game has ended, else 0 (float32).
        other_reward: what the opponent gets (float32).
    """

    packed: Packed
    seat: NDArray[np.int8]
    by_main: NDArray[np.bool_]
    slip: NDArray[np.bool_]
    action: NDArray[np.signedinteger]
    ended: NDArray[np.bool_]
    reward: Float32s
    other_reward: Float32s

    @classmethod
    def empty(cls, game: Game, plies: int, boards: int) -> Self:
        """Allocate a rollout of ``plies`` plies on ``boards`` boards."""
        return cls(**cls.arrays(game, (plies, boards)))

    @classmethod
    def arrays(cls, game: Game, shape: tuple[int, int]) -> dict[str, NDArray[Any]]:
        """Return zeros for each attribute; a subclass adds its own."""
        return {
            "packed": np.zeros((*shape, *game.packed.shape[1:]), game.packed.dtype),
            "seat": np.zeros(shape, np.int8),
            "by_main": np.zeros(shape, np.bool_),
            "slip": np.zeros(shape, np.bool_),
            "action": np.zeros(shape, np.int8 if game.actions <= np.iinfo(np.int8).max else np.int32),
            "ended": np.zeros(shape, np.bool_),
            "reward": np.zeros(shape, np.float32),
            "other_reward": np.zeros(shape, np.float32),
        }

    @property
    def chosen(self) -> NDArray[np.int64]:
        """Flat indices into (T * N) of the moves that main chose itself: what a learner may learn from."""
        return np.flatnonzero(self.by_main & ~self.slip)
