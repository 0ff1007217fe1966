"""OpenSpiel's games as PettingZoo environments: ``pettingzoo:tests.spiel`` with the option ``game_name``.

Shimmy 2.0.1 has such environments, too, but counts chance among the moves and so cuts off games of cards.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pyspiel
from gymnasium import spaces
from pettingzoo import AECEnv


class SpielEnv(AECEnv[str, Any, int]):  # type: ignore[misc]  # PettingZoo is untyped here
    """A game of two players who move in turns; chance is drawn from the seed of ``reset``."""

    metadata: ClassVar[dict[str, Any]] = {"name": "spiel"}

    def __init__(self, game_name: str) -> None:
        super().__init__()
        self._game = pyspiel.load_game(game_name)
        self.possible_agents = ["player_0", "player_1"]
        seen = spaces.Box(-np.inf, np.inf, self._game.observation_tensor_shape(), np.float32)
        self.observation_spaces = dict.fromkeys(self.possible_agents, seen)
        self.action_spaces = dict.fromkeys(self.possible_agents, spaces.Discrete(self._game.num_distinct_actions()))

    def observation_space(self, agent: str) -> Any:
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> Any:
        return self.action_spaces[agent]

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> None:
        self._rng = np.random.default_rng(seed)
        self._state = self._game.new_initial_state()
        self.agents = self.possible_agents[:]
        self.rewards = dict.fromkeys(self.agents, 0.0)
        self._cumulative_rewards = dict.fromkeys(self.agents, 0.0)
        self.terminations = dict.fromkeys(self.agents, False)
        self.truncations = dict.fromkeys(self.agents, False)
        self.infos: dict[str, dict[str, Any]] = {agent: {} for agent in self.agents}
        self._go_on()

    def observe(self, agent: str) -> dict[str, Any]:
        player = self.possible_agents.index(agent)
        mask = self._state.legal_actions_mask(player) or [0] * self._game.num_distinct_actions()
        seen = np.array(self._state.observation_tensor(player), np.float32)
        return {"observation": seen, "action_mask": np.array(mask, np.int8)}

    def step(self, action: int | None) -> None:
        if self.terminations[self.agent_selection]:
            self._was_dead_step(action)
            return
        self._state.apply_action(action)
        self._go_on()

    def _go_on(self) -> None:
        while self._state.is_chance_node():
            outcomes, weights = zip(*self._state.chance_outcomes(), strict=True)
            self._state.apply_action(int(self._rng.choice(outcomes, p=weights)))
        if self._state.is_terminal():
            self.rewards = dict(zip(self.possible_agents, self._state.returns(), strict=True))
            self.terminations = dict.fromkeys(self.agents, True)
            self.agent_selection = self.agents[0]
        else:
            self.agent_selection = self.possible_agents[self._state.current_player()]


def env(game_name: str) -> SpielEnv:
    """Make the game ``game_name``."""
    return SpielEnv(game_name)
