"""Players that answer what a test needs."""

from __future__ import annotations

import numpy as np

from connectfour.games.contract import Actions
from connectfour.games.observation import Observation
from connectfour.players.policy import Evaluation, PolicyPlayer
from heuristics import Heuristic, State


class Sure(PolicyPlayer):
    """Prefers column 5, and expects the player to move to score 75 %."""

    def evaluate(self, observation: Observation) -> Evaluation:
        """Return the same evaluation for every board."""
        logits = np.where(observation.action_mask, np.array([0, 0, 0, 0, 3, 0, 0]), np.finfo(np.float32).min)
        return Evaluation(logits.astype(np.float32), np.full(len(observation), 0.5, dtype=np.float32))


class First(Heuristic):
    """Plays the first legal action."""

    name = "first"

    def act(self, observation: Observation, state: State, rng: np.random.Generator) -> tuple[Actions, State]:
        """Choose alike, whatever chance says."""
        return observation.action_mask.argmax(axis=1), state
