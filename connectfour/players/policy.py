"""Players that follow a policy: from logits to columns, whatever computes the logits."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from connectfour.games.connect_four.bitboard import Columns
from connectfour.games.observation import Observation
from heuristics import State


class Evaluation(NamedTuple):
    """A network's view of N boards.

    Attributes:
        logits: of the columns, (N, 7) float32, illegal ones at the float32 minimum.
        value: expected result for the player to move, from -1 (lost) to 1 (won), (N,) float32.
    """

    logits: NDArray[np.float32]
    value: NDArray[np.float32]


class PolicyPlayer(ABC):
    """Follows a policy: one forward pass per move, no search."""

    def __init__(self, name: str, *, temperature: float = 1.0) -> None:
        """Sample columns at ``temperature``; at 0, play the most probable column."""
        self.name = name
        self.temperature = temperature

    @abstractmethod
    def evaluate(self, observation: Observation) -> Evaluation:
        """Evaluate N boards in one forward pass."""

    def at(self, temperature: float) -> Self:
        """Return a player with the same network and another temperature."""
        other = copy.copy(self)
        other.temperature = temperature
        return other

    def initial_state(self, boards: int) -> State:
        """Return an empty memory: the board holds everything a policy needs."""
        return np.zeros((boards, 0), dtype=np.int64)

    def act(self, observation: Observation, state: State, rng: np.random.Generator) -> tuple[Columns, State]:
        """Choose a column on each board; -1 where the logits are NaN."""
        uniform = rng.random(len(observation))
        return sample_columns(self.evaluate(observation).logits, uniform, self.temperature), state


def probabilities(logits: NDArray[np.float32], temperature: float = 1.0) -> NDArray[np.float64]:
    """Return the softmax of masked logits (N, 7) at ``temperature``: probabilities of the columns (N, 7)."""
    weights = np.exp((logits.astype(np.float64) - logits.max(axis=1, keepdims=True)) / temperature)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def sample_columns(logits: NDArray[np.float32], uniform: NDArray[np.float64], temperature: float) -> Columns:
    """Return a column (N,) for each row of masked logits (N, 7); -1 where the logits are NaN.

    Args:
        logits: illegal columns at the float32 minimum.
        uniform: one number in [0, 1) per row (N,), the only source of chance.
        temperature: divides the logits before sampling; at 0, the most probable column is taken.
    """
    # Broken weights must not pass unnoticed: argmax takes NaN for the greatest number.
    broken = np.isnan(logits).any(axis=1)
    if not temperature:
        return np.where(broken, -1, logits.argmax(axis=1))
    cumulative = probabilities(logits, temperature).cumsum(axis=1)
    # Scaled by the last entry, which rounding keeps from being exactly 1, no draw exceeds the last legal column.
    return np.where(broken, -1, np.argmax(cumulative > uniform[:, None] * cumulative[:, -1:], axis=1))
