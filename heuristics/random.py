"""``Random``: uniformly random."""

from __future__ import annotations

import numpy as np

from connectfour.games.contract import Actions
from connectfour.games.moves import pick_legal
from connectfour.games.observation import Observation
from heuristics.base import Heuristic, State


class Random(Heuristic):
    """Plays every legal action with the same probability, in any game."""

    name = "random"

    def act(self, observation: Observation, state: State, rng: np.random.Generator) -> tuple[Actions, State]:
        """Draw one legal action per board."""
        return pick_legal(observation.action_mask, rng.random(len(observation))), state
