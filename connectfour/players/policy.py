"""``PolicyPlayer``: players that follow a policy, whether Torch or onnxruntime computes it."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from connectfour.games.contract import Actions
from connectfour.games.observation import Observation
from heuristics import State


class Evaluation(NamedTuple):
    """A network's evaluation of N positions.

    Attributes:
        logits: logits of the actions, (N, actions) float32; illegal actions have the float32 minimum.
        value: expected result for the player to move, (N,) float32 in [-1, 1].
    """

    logits: NDArray[np.float32]
    value: NDArray[np.float32]


class PolicyPlayer(ABC):
    """Follows a policy without search: one forward pass per move."""

    def __init__(self, name: str, *, temperature: float = 1.0) -> None:
        """Sample actions at ``temperature``, or play the most probable action if it is 0."""
        self.name = name
        self.temperature = temperature

    @abstractmethod
    def evaluate(self, observation: Observation) -> Evaluation:
        """Evaluate N positions in one forward pass."""

    def at(self, temperature: float) -> Self:
        """Return a player with the same network and a different temperature."""
        other = copy.copy(self)
        other.temperature = temperature
        return other

    def initial_state(self, boards: int) -> State:
        """Return an empty memory: a policy needs nothing but the position."""
        return np.zeros((boards, 0), dtype=np.int64)

    def act(self, observation: Observation, state: State, rng: np.random.Generator) -> tuple[Actions, State]:
        """Choose an action (N,) on each board, or -1 where the logits are NaN."""
        uniform = rng.random(len(observation))
        return sample_actions(self.evaluate(observation).logits, uniform, self.temperature), state


def probabilities(logits: NDArray[np.float32], temperature: float = 1.0) -> NDArray[np.float64]:
    """Return the probabilities (N, actions): the softmax of masked logits (N, actions) at ``temperature``."""
    weights = np.exp((logits.astype(np.float64) - logits.max(axis=1, keepdims=True)) / temperature)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def sample_actions(logits: NDArray[np.float32], uniform: NDArray[np.float64], temperature: float) -> Actions:
    """Return an action (N,) for each row of ``logits``, or -1 where the logits are NaN.

    Args:
        logits: masked logits (N, actions): illegal actions have the float32 minimum.
        uniform: one number in [0, 1) per row (N,), the only source of randomness.
        temperature: divisor of the logits before sampling; 0 takes the most probable action.
    """
    # Argmax would treat NaN as the maximum, and broken weights would go unnoticed.
    broken = np.isnan(logits).any(axis=1)
    if not temperature:
        return np.where(broken, -1, logits.argmax(axis=1))
    cumulative = probabilities(logits, temperature).cumsum(axis=1)
    # Rounding can keep the last entry below 1. Scaling by it ensures that no draw lies beyond the last legal action.
    return np.where(broken, -1, np.argmax(cumulative > uniform[:, None] * cumulative[:, -1:], axis=1))
