"""Players that play a policy: from a network's logits to columns, whatever computes them."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from connectfour.games.connect_four.bitboard import Columns
from heuristics import State


class Evaluation(NamedTuple):
    """What a network says of N boards.

    Attributes:
        logits: of the columns, (N, 7) float32, illegal ones at the float32 minimum.
        value: the expected result for whoever is to move, -1 lost to 1 won, (N,) float32.
    """

    logits: NDArray[np.float32]
    value: NDArray[np.float32]


class PolicyPlayer(ABC):
    """Plays a policy: one forward pass a move, no search."""

    def __init__(self, name: str, *, temperature: float = 1.0) -> None:
        """Sample columns from the policy at ``temperature``; at 0 play the most probable one."""
        self.name = name
        self.temperature = temperature

    @abstractmethod
    def evaluate(self, observation: NDArray[np.integer], action_mask: NDArray[np.integer]) -> Evaluation:
        """Evaluate observations (N, 6, 7, 2) with action masks (N, 7) in one forward pass."""

    def at(self, temperature: float) -> Self:
        """Return a player of the same network that plays at another temperature."""
        other = copy.copy(self)
        other.temperature = temperature
        return other

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
        return choose_columns(self.evaluate(observation, action_mask).logits, uniform, self.temperature), state


def probabilities(logits: NDArray[np.float32], temperature: float = 1.0) -> NDArray[np.float64]:
    """Return the softmax of masked logits (N, 7) at ``temperature``: probabilities of the columns (N, 7)."""
    weights = np.exp((logits.astype(np.float64) - logits.max(axis=1, keepdims=True)) / temperature)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def choose_columns(logits: NDArray[np.float32], uniform: NDArray[np.float64], temperature: float) -> Columns:
    """Return a column for each row of masked logits (N, 7), -1 where they are not numbers.

    Args:
        logits: illegal columns at the float32 minimum.
        uniform: one number in [0, 1) a row (N,), all the chance there is.
        temperature: what logits are divided by before sampling; at 0 the most probable column is taken.
    """
    # Nobody would notice that weights are broken: NaN passes for the greatest of numbers.
    broken = np.isnan(logits).any(axis=1)
    if not temperature:
        return np.where(broken, -1, logits.argmax(axis=1))
    cumulative = probabilities(logits, temperature).cumsum(axis=1)
    # The last entry is the sum of all: scaling by it, no draw falls behind the last legal column.
    return np.where(broken, -1, np.argmax(cumulative > uniform[:, None] * cumulative[:, -1:], axis=1))
