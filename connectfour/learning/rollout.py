"""What a lockstep rollout records."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from connectfour.games.connect_four.packing import ACTIONS, PACKED_SHAPE, Packed

Float32s = NDArray[np.float32]


@dataclass
class Rollout:
    """T plies on N boards in lockstep; all arrays begin with the axes (T, N).

    Attributes:
        packed: the position before the move, packed.
        seat: the seat to move, 0 or 1 (int8).
        by_main: whether main chose the move.
        slip: whether a random move replaced main's.
        action: the move (int8).
        logits: main's masked logits, (T, N, actions) float32; undefined where ``by_main`` is false, like the next two.
        log_probability: log-probability of the move.
        value: main's value of the position for the player to move.
        ended: whether the move ended the game.
        reward: what the player who moved gets for the move: 1 for a win, -1 for an illegal move, else 0 (int8).
        other_reward: what the opponent gets: -1 for a loss, else 0 (int8), as in PettingZoo.
    """

    packed: Packed
    seat: NDArray[np.int8]
    by_main: NDArray[np.bool_]
    slip: NDArray[np.bool_]
    action: NDArray[np.int8]
    logits: Float32s
    log_probability: NDArray[np.float32]
    value: NDArray[np.float32]
    ended: NDArray[np.bool_]
    reward: NDArray[np.int8]
    other_reward: NDArray[np.int8]

    @classmethod
    def empty(cls, plies: int, boards: int) -> Rollout:
        """Allocate a rollout of ``plies`` plies on ``boards`` boards."""
        shape = (plies, boards)
        return cls(
            packed=np.zeros((*shape, *PACKED_SHAPE), np.uint64),
            seat=np.zeros(shape, np.int8),
            by_main=np.zeros(shape, np.bool_),
            slip=np.zeros(shape, np.bool_),
            action=np.zeros(shape, np.int8),
            logits=np.zeros((*shape, ACTIONS), np.float32),
            log_probability=np.zeros(shape, np.float32),
            value=np.zeros(shape, np.float32),
            ended=np.zeros(shape, np.bool_),
            reward=np.zeros(shape, np.int8),
            other_reward=np.zeros(shape, np.int8),
        )

    @property
    def chosen(self) -> NDArray[np.int64]:
        """Flat indices into (T * N) of the moves that main chose itself: what a learner may learn from."""
        return np.flatnonzero(self.by_main & ~self.slip)
