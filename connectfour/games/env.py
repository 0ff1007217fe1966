"""Any game as an RLlib ``MultiAgentEnv``, for RLlib's own env runner.

Importing this module registers the environment with RLlib as ``"league_game"``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray
from ray.rllib.env.multi_agent_env import MultiAgentEnv
from ray.tune.registry import register_env

from connectfour.games.openings import random_openings
from connectfour.games.registry import make_game
from connectfour.games.spaces import spaces_of

ENV_NAME = "league_game"
AGENTS = ("player_0", "player_1")
"""The agent in each seat."""

ObservationDict = dict[str, NDArray[Any]]
"""One agent's observation: ``observation`` and ``action_mask``."""


class GameEnv(MultiAgentEnv):  # type: ignore[misc]  # Ray's classes are untyped here
    """A game for two agents: ``player_0`` in seat 0, ``player_1`` in seat 1.

    Each step takes one action, that of the agent to move. At the end of a game both agents receive a final observation,
    so the last reward of each completes a transition.

    Config keys:
        game: name of the game.
        options: its options.
        opening_plies: the number of random moves before each game is drawn uniformly from 0 to this limit (default 0).
            Openings never end a game. The attribute of the same name may be changed between games.
    """

    def __init__(self, config: Mapping[str, Any] | None = None) -> None:
        """Make the game.

        Raises:
            GameError: there is no such game.
        """
        super().__init__()
        settings = dict(config or {})
        self.game = make_game(settings["game"], settings.get("options"))
        self.opening_plies: int = settings.get("opening_plies", 0)
        self._worker_index: int = getattr(config, "worker_index", 0) or 0
        self.possible_agents = list(AGENTS)
        self.agents = list(AGENTS)
        observation, action = spaces_of(self.game)
        self.observation_spaces = dict.fromkeys(AGENTS, observation)
        self.action_spaces = dict.fromkeys(AGENTS, action)
        self.observation_space = gym.spaces.Dict(self.observation_spaces)
        self.action_space = gym.spaces.Dict(self.action_spaces)
        self._rng = np.random.default_rng()
        self._board = self.game.boards(1)

    def reset(
        self, *, seed: int | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[dict[str, ObservationDict], dict[str, dict[str, Any]]]:
        """Start a game and return the observation of the agent to move.

        Workers with the same ``seed`` draw different sequences of openings.

        Raises:
            ConfigError: random games never last as long as an opening.
        """
        if seed is not None:
            self._rng = np.random.default_rng((seed, self._worker_index))
            self.game.seed(int(self._rng.integers(2**31)) if self.game.has_chance else seed)
        self.agents = list(AGENTS)
        plies = int(self._rng.integers(self.opening_plies + 1)) if self.opening_plies else 0
        self._board = random_openings(self.game, np.array([plies]), self._rng)
        agent = AGENTS[int(self._board.seat[0])]
        return {agent: self._observe()}, {agent: {}}

    def step(
        self, action_dict: Mapping[str, int]
    ) -> tuple[
        dict[str, ObservationDict], dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict[str, Any]]
    ]:
        """Play the action of the agent to move."""
        agent = AGENTS[int(self._board.seat[0])]
        self._board.play(np.array([action_dict[agent]]))
        over = bool(self._board.over[0])
        observers = list(AGENTS) if over else [AGENTS[int(self._board.seat[0])]]
        observation = self._observe()
        rewards = dict(zip(AGENTS, map(float, self._board.returns[0]), strict=True))
        terminated = {**dict.fromkeys(observers, over), "__all__": over}
        truncated = {**dict.fromkeys(observers, False), "__all__": False}
        return (
            dict.fromkeys(observers, observation),
            {each: rewards[each] for each in observers},
            terminated,
            truncated,
            {each: {} for each in observers},
        )

    def _observe(self) -> ObservationDict:
        seen = self._board.observe()
        return {"observation": seen.planes[0], "action_mask": seen.action_mask[0]}


register_env(ENV_NAME, GameEnv)
