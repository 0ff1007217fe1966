"""``AlwaysSame``: the same action as long as it is legal."""

from __future__ import annotations

import numpy as np

from connectfour.games.contract import Actions
from connectfour.games.moves import pick_legal
from connectfour.games.observation import Observation
from heuristics.base import Heuristic, State


class AlwaysSame(Heuristic):
    """Draws a random action, plays it until it is illegal, then draws another, in any game.

    In Connect Four, it fills one column after the other. The state is the action plus 1, or 0 before the first move.
    """

    name = "always_same"
    state_size = 1

    def act(self, observation: Observation, state: State, rng: np.random.Generator) -> tuple[Actions, State]:
        """Repeat the action in ``state`` where it is legal, and draw a new one elsewhere."""
        legal, kept = observation.action_mask != 0, state[:, 0] - 1
        keep = (kept >= 0) & legal[np.arange(len(legal)), kept]
        actions = np.where(keep, kept, pick_legal(legal, rng.random(len(legal))))
        return actions, actions[:, None] + 1
