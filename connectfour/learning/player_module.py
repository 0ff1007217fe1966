"""Players as RLModules that are not trained."""

from __future__ import annotations

from typing import Any

import numpy as np
from ray.rllib.core.columns import Columns
from ray.rllib.core.rl_module.rl_module import RLModule
from ray.rllib.utils.numpy import convert_to_numpy
from typing_extensions import override

from connectfour.games.observation import Observation
from connectfour.players.contract import Player
from connectfour.players.names import build_player

_MEMORY = "memory"


class PlayerRLModule(RLModule):  # type: ignore[misc]  # Ray's classes are untyped here
    """Plays the player in ``model_config["player"]``: a heuristic or an ONNX model, encoded.

    A player's memory of the game travels as RLlib's recurrent state, one row per episode: it belongs to the board, not
    to the module.
    """

    @override
    def setup(self) -> None:
        """Build the player and its generator."""
        self.player: Player = build_player(self.model_config["player"])
        self._remembers = self.player.initial_state(1).shape[1] > 0
        # Env runners seed NumPy's global generator by their worker index: so each has its own random numbers.
        self.rng = np.random.default_rng(np.random.randint(2**31))  # noqa: NPY002  # the generator that RLlib seeds

    @override
    def get_initial_state(self) -> dict[str, Any]:
        """Return the memory at the start of a game, empty for players without one."""
        if not self._remembers:
            return {}
        return {_MEMORY: self.player.initial_state(1)[0]}

    @override
    def _forward(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        obs = convert_to_numpy(batch[Columns.OBS])
        observation = Observation(obs["observation"], obs["action_mask"])
        if not self._remembers:
            action, _ = self.player.act(observation, self.player.initial_state(0), self.rng)
            return {Columns.ACTIONS: action}
        # RLlib adds a time axis of length one to the observations of a module with memory.
        memory = convert_to_numpy(batch[Columns.STATE_IN])[_MEMORY]
        at_once = Observation(observation.planes[:, 0], observation.action_mask[:, 0])
        action, memory = self.player.act(at_once, memory, self.rng)
        return {Columns.ACTIONS: action[:, None], Columns.STATE_OUT: {_MEMORY: memory}}

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing: there is nothing for Torch to compile, but env runners may ask for it."""
