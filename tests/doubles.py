"""Players that answer what a test needs."""

from __future__ import annotations

import numpy as np

from connectfour.games.observation import Observation
from connectfour.players.policy import Evaluation, PolicyPlayer


class Sure(PolicyPlayer):
    """Prefers column 5, and expects the player to move to score 75 %."""

    def evaluate(self, observation: Observation) -> Evaluation:
        """Return the same evaluation for every board."""
        logits = np.where(observation.action_mask, np.array([0, 0, 0, 0, 3, 0, 0]), np.finfo(np.float32).min)
        return Evaluation(logits.astype(np.float32), np.full(len(observation), 0.5, dtype=np.float32))
