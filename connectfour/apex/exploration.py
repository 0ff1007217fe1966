"""Exploration: each environment has its own probability of a random action."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_NEARLY_GREEDY = 0.02


def epsilons(envs: int, first: float, alpha: float) -> NDArray[np.float64]:
    """Return the exploration probability of each environment, ``first ** (1 + alpha * i / (envs - 1))``, (envs,).

    Board 0 explores most (Horgan et al. 2018).
    """
    return np.asarray(first ** (1 + alpha * np.arange(envs) / max(1, envs - 1)))


def nearly_greedy(epsilon: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which environments explore so little (at most 2 % of actions) that their results measure the policy.

    If there are none, the environments that explore least count.
    """
    threshold = max(_NEARLY_GREEDY, float(epsilon.min()))
    nearly: NDArray[np.bool_] = epsilon <= threshold
    return nearly


def explore(
    greedy: NDArray[np.int64], legal: NDArray[np.integer], epsilon: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Return ``greedy`` (N,) with some actions replaced by random legal ones.

    Args:
        greedy: the best legal action of each environment.
        legal: nonzero where an action is legal, (N, actions).
        epsilon: exploration probability of each environment, (N,).
        rng: random number generator.
    """
    exploring = rng.random(len(greedy)) < epsilon
    if not exploring.any():
        return greedy
    count = np.cumsum(legal[exploring] != 0, axis=1)
    wanted = (rng.random(int(exploring.sum())) * count[:, -1]).astype(np.int64)
    action = greedy.copy()
    action[exploring] = np.argmax(count > wanted[:, None], axis=1)
    return action
