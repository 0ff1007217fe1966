"""A heuristic as an RLModule that is not trained."""

from __future__ import annotations

from typing import Any

import numpy as np
from ray.rllib.core.columns import Columns
from ray.rllib.core.rl_module.rl_module import RLModule
from ray.rllib.utils.numpy import convert_to_numpy
from typing_extensions import override

from heuristics import make_heuristic

_MEMORY = "memory"


class HeuristicRLModule(RLModule):  # type: ignore[misc]  # Ray's classes are untyped here
    """Plays the heuristic that ``model_config["heuristic"]`` names.

    A heuristic's memory of the game travels as RLlib's recurrent state, one row an episode, so that it belongs to the
    board and not to the module.
    """

    @override
    def setup(self) -> None:
        """Build the heuristic and its generator."""
        self.heuristic = make_heuristic(self.model_config["heuristic"])
        # Env runners seed NumPy's global generator by their worker index: each of them plays its own chance.
        self.rng = np.random.default_rng(np.random.randint(2**31))  # noqa: NPY002  # the generator RLlib seeds

    @override
    def get_initial_state(self) -> dict[str, Any]:
        """Return the memory at the start of a game, empty for heuristics without one."""
        if not self.heuristic.state_size:
            return {}
        return {_MEMORY: self.heuristic.initial_state(1)[0]}

    @override
    def _forward(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        obs = convert_to_numpy(batch[Columns.OBS])
        observation, action_mask = obs["observation"], obs["action_mask"]
        if not self.heuristic.state_size:
            columns, _ = self.heuristic.act(observation, action_mask, self.heuristic.initial_state(0), self.rng)
            return {Columns.ACTIONS: columns}
        # RLlib adds an axis of length one for time to the observations of a module with memory.
        memory = convert_to_numpy(batch[Columns.STATE_IN])[_MEMORY]
        columns, memory = self.heuristic.act(observation[:, 0], action_mask[:, 0], memory, self.rng)
        return {Columns.ACTIONS: columns[:, None], Columns.STATE_OUT: {_MEMORY: memory}}

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing: there is nothing for Torch to compile, but env runners may ask for it."""
