"""A heuristic for Nim: ``heuristic:players:Optimal``."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from connectfour.games.observation import Observation


class Optimal:
    """Leaves heaps whose sizes cancel out bit by bit (their nim-sum is 0), and loses no game that it can win.

    Bouton 1901, "Nim, a game with a complete mathematical theory".
    """

    name = "optimal"

    def initial_state(self, boards: int) -> NDArray[np.int64]:
        """Remember nothing: (boards, 0)."""
        return np.zeros((boards, 0), dtype=np.int64)

    def act(
        self, observation: Observation, state: NDArray[np.int64], rng: np.random.Generator
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Choose an action on each board; any legal one where the opponent can win."""
        heaps = observation.planes.sum(axis=2, dtype=np.int64)
        wanted = heaps ^ np.bitwise_xor.reduce(heaps, axis=1)[:, None]  # sticks that each heap should keep
        taken = np.arange(1, observation.planes.shape[2] + 1)
        wins = (heaps[:, :, None] - taken == wanted[:, :, None]).reshape(observation.action_mask.shape)
        # Draw one number per board, as every player does, so that a batch plays like its boards one by one.
        ties = (np.arange(wins.shape[1]) + rng.random(len(observation))[:, None] * wins.shape[1]) % wins.shape[1]
        scores = np.where(observation.action_mask != 0, 2 * wins.shape[1] * wins + ties, -1)
        return scores.argmax(axis=1), state
