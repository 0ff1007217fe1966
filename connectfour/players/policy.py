"""Players that play a policy: from a network's logits to columns, whatever computes them."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from connectfour.game.bitboard import Columns
from heuristics import State


class PolicyPlayer(ABC):
    """Plays a policy: one forward pass a move, no search."""

    def __init__(self, name: str, *, greedy: bool = False) -> None:
        """Sample columns from the policy, or with ``greedy`` play the most probable one."""
        self.name = name
        self._greedy = greedy

    @abstractmethod
    def logits(self, observation: NDArray[np.integer], action_mask: NDArray[np.integer]) -> NDArray[np.float32]:
        """Return masked logits (N, 7) of observations (N, 6, 7, 2) with action masks (N, 7)."""

    def initial_state(self, boards: int) -> State:
        """Return no memory: the board says it all."""
        return np.zeros((boards, 0), dtype=np.int64)

    def act(
        self,
        observation: NDArray[np.integer],
        action_mask: NDArray[np.integer],
        state: State,
        rng: np.random.Generator,
    ) -> tuple[Columns, State]:
        """Evaluate all boards in one forward pass; the column is -1 where logits are not a number."""
        uniform = rng.random(len(observation))
        return choose_columns(self.logits(observation, action_mask), uniform, greedy=self._greedy), state


def choose_columns(logits: NDArray[np.float32], uniform: NDArray[np.float64], *, greedy: bool) -> Columns:
    """Return a column for each row of masked logits (N, 7), -1 where they are not numbers.

    Args:
        logits: illegal columns at the float32 minimum.
        uniform: one number in [0, 1) a row (N,), all the chance there is.
        greedy: take the most probable column instead of sampling.
    """
    # Nobody would notice that weights are broken: NaN passes for the greatest of numbers.
    broken = np.isnan(logits).any(axis=1)
    if greedy:
        return np.where(broken, -1, logits.argmax(axis=1))
    weights = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    cumulative = weights.cumsum(axis=1)
    # The last entry is the sum of all: scaling by it, no draw falls behind the last legal column.
    return np.where(broken, -1, np.argmax(cumulative > uniform[:, None] * cumulative[:, -1:], axis=1))
