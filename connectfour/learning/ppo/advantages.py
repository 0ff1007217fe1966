"""Generalized advantage estimation for two players on one time axis.

They are computed as in RLlib (Schulman et al. 2016), along each player's own moves, with the result of the game as the
reward of the player's last move. Where the rollout cuts off a game, the value of the position replaces the rest of it,
with its sign flipped for the player who is not to move.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from connectfour.learning.ppo.rollout import PolicyRollout
from connectfour.learning.rollout import Float32s


@dataclass
class _Ahead:
    """What lies ahead of each seat's next move, seen from the end of the rollout; all arrays are (N, 2).

    Attributes:
        value: value of the position at the seat's next own move.
        advantage: advantage of that move.
        reward: reward between now and then.
    """

    value: Float32s
    advantage: Float32s
    reward: Float32s

    @classmethod
    def at_the_cut(cls, value: Float32s, seat: NDArray[np.int8]) -> Self:
        """Begin where the rollout ends: ``value`` (N,) of the last positions, for ``seat`` (N,), the seat to move."""
        boards = np.arange(len(value))
        values = np.empty((len(value), 2), np.float32)
        values[boards, seat], values[boards, 1 - seat] = value, -value
        return cls(values, np.zeros_like(values), np.zeros_like(values))

    def end_games(self, rollout: PolicyRollout, ply: int) -> None:
        """Where a move ended the game, nothing lies ahead but its rewards."""
        ended = np.flatnonzero(rollout.ended[ply])
        mover = rollout.seat[ply, ended]
        self.value[ended] = self.advantage[ended] = 0
        self.reward[ended, mover] = rollout.reward[ply, ended]
        self.reward[ended, 1 - mover] = rollout.other_reward[ply, ended]

    def cut_at_slips(self, rollout: PolicyRollout, ply: int) -> None:
        """Where a random slip replaced main's move, use the position's value instead of what followed."""
        slips = np.flatnonzero(rollout.slip[ply])
        self.value[slips, 1 - rollout.seat[ply, slips]] = -rollout.value[ply, slips]
        self.advantage[slips] = self.reward[slips] = 0


def advantages(
    rollout: PolicyRollout, last_value: Float32s, last_seat: NDArray[np.int8], gamma: float, lambda_: float
) -> Float32s:
    """Return the advantage (T, N) of each move; only those of main's moves are meaningful.

    Args:
        rollout: the moves.
        last_value: main's value (N,) of the positions after the last ply, for the player to move.
        last_seat: the seat to move there (N,).
        gamma: discount per move of the same player.
        lambda_: lambda of GAE; larger values use longer returns.
    """
    plies, boards = rollout.value.shape
    ahead = _Ahead.at_the_cut(last_value, last_seat)
    found = np.empty((plies, boards), np.float32)
    for ply in reversed(range(plies)):
        ahead.end_games(rollout, ply)
        own = (np.arange(boards), rollout.seat[ply])
        value = rollout.value[ply]
        delta = ahead.reward[own] + gamma * ahead.value[own] - value
        found[ply] = delta + gamma * lambda_ * ahead.advantage[own]
        ahead.value[own], ahead.advantage[own], ahead.reward[own] = value, found[ply], 0
        ahead.cut_at_slips(rollout, ply)
    return found
