"""``SelfPlayApexLearner``: Ape-X's learner on packed observations."""

from __future__ import annotations

from typing import Any

import numpy as np
from typing_extensions import override

from connectfour.apex.learner import ApexLearner
from connectfour.games.contract import Game
from connectfour.learning.apex.env_runner import PACKED


class SelfPlayApexLearner(ApexLearner):
    """Expands positions when they are learned from; the replay holds them packed."""

    @override
    def build(self) -> None:
        """Build module and optimizer, and read the settings once."""
        super().build()
        self._game: Game = self.config.settings.game.rules

    @override
    def observe(self, stored: dict[str, np.ndarray]) -> dict[str, Any]:
        """Return planes and action masks."""
        observation = self._game.expand(stored[PACKED])
        return {"observation": observation.planes, "action_mask": observation.action_mask}
