"""PettingZoo's ``connect_four_v3`` as an RLlib ``MultiAgentEnv``.

Importing this module registers the environment as ``"connect_four_v3"``, so that any RLlib algorithm takes it by name.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, ClassVar

os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray
from pettingzoo.classic.connect_four import connect_four
from ray.rllib.env.multi_agent_env import MultiAgentEnv
from ray.tune.registry import register_env

from connectfour.games.connect_four.bitboard import CELLS, pick_legal

ENV_NAME = "connect_four_v3"
AGENTS = ("player_0", "player_1")

Observation = dict[str, NDArray[np.int8]]


class ConnectFourEnv(MultiAgentEnv):  # type: ignore[misc]  # Ray's classes are untyped here
    """Two agents, ``player_0`` and ``player_1``, in this order on every machine; ``player_0`` moves first.

    Observations are PettingZoo's own: ``{"observation": (6, 7, 2) int8, "action_mask": (7,) int8}``. A step takes the
    action of the one agent whose turn it is. When the game ends both agents get a last observation, so that the reward
    of the one who is not to move belongs to a complete transition.

    Config keys:
        opening_plies: each game starts after a number of random plies drawn uniformly from 0 to this (default 0). A
            game is never over before the agents' first move. The attribute of this name may change between games.
        render_mode: PettingZoo's, ``"rgb_array"`` or ``"human"`` (default none).
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["human", "rgb_array"], "name": ENV_NAME, "render_fps": 2}

    def __init__(self, config: Mapping[str, Any] | None = None) -> None:
        """Build the PettingZoo environment behind it."""
        super().__init__()
        settings = dict(config or {})
        self.opening_plies: int = settings.get("opening_plies", 0)
        if not 0 <= self.opening_plies < CELLS:
            raise ValueError(f"opening_plies = {self.opening_plies}: choose 0 to {CELLS - 1}, a move must be left")
        self._worker_index: int = getattr(config, "worker_index", 0) or 0
        self.render_mode = settings.get("render_mode")
        self.aec = connect_four.env(render_mode=self.render_mode)
        self.possible_agents = list(AGENTS)
        self.agents = list(AGENTS)
        self.observation_spaces = {agent: self.aec.observation_space(agent) for agent in AGENTS}
        self.action_spaces = {agent: self.aec.action_space(agent) for agent in AGENTS}
        self.observation_space = gym.spaces.Dict(self.observation_spaces)
        self.action_space = gym.spaces.Dict(self.action_spaces)
        self._rng = np.random.default_rng()

    def reset(
        self, *, seed: int | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[dict[str, Observation], dict[str, dict[str, Any]]]:
        """Start a game; the first observation goes to the agent whose turn it is.

        The same ``seed`` on two workers gives two different sequences of openings.
        """
        if seed is not None:
            self._rng = np.random.default_rng((seed, self._worker_index))
        self.agents = list(AGENTS)
        plies = int(self._rng.integers(self.opening_plies + 1)) if self.opening_plies else 0
        while not self._play_opening(plies, seed):
            pass
        agent = self.aec.agent_selection
        return {agent: self.aec.observe(agent)}, {agent: {}}

    def _play_opening(self, plies: int, seed: int | None) -> bool:
        """Play ``plies`` random plies from the empty board and tell whether the game still goes on."""
        self.aec.reset(seed=seed)
        for _ in range(plies):
            mask = self.aec.observe(self.aec.agent_selection)["action_mask"]
            self.aec.step(int(pick_legal(mask[None], self._rng.random(1))[0]))
            if any(self.aec.terminations.values()):
                return False
        return True

    def step(
        self, action_dict: Mapping[str, int]
    ) -> tuple[dict[str, Observation], dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict[str, Any]]]:
        """Play the move of the agent whose turn it is.

        An illegal column ends the game with -1 for its player and 0 for the other, as in PettingZoo.
        """
        self.aec.step(int(action_dict[self.aec.agent_selection]))
        over = any(self.aec.terminations.values())
        told = list(AGENTS) if over else [self.aec.agent_selection]
        observations = {agent: self.aec.observe(agent) for agent in told}
        rewards = {agent: float(self.aec.rewards[agent]) for agent in told}
        terminated = {**dict.fromkeys(told, over), "__all__": over}
        truncated = {**dict.fromkeys(told, False), "__all__": False}
        return observations, rewards, terminated, truncated, {agent: {} for agent in told}

    def render(self) -> NDArray[np.uint8] | None:
        """Return the board as an RGB image (height, width, 3) in mode ``"rgb_array"``; show it in ``"human"``."""
        frame: NDArray[np.uint8] | None = self.aec.render()
        return frame

    def close(self) -> None:
        """Close PettingZoo's window, if there is one."""
        self.aec.close()


register_env(ENV_NAME, ConnectFourEnv)
