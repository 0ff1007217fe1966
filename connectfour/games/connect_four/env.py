"""PettingZoo's ``connect_four_v3`` as an RLlib ``MultiAgentEnv``.

Importing this module registers the environment with RLlib as ``"connect_four_v3"``.
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

from connectfour.games.connect_four.bitboard import CELLS
from connectfour.games.env import AGENTS
from connectfour.games.moves import pick_legal

ENV_NAME = "connect_four_v3"

ObservationDict = dict[str, NDArray[np.int8]]
"""One agent's observation: ``observation`` (6, 7, 2) and ``action_mask`` (7,)."""


class ConnectFourEnv(MultiAgentEnv):  # type: ignore[misc]  # Ray's classes are untyped here
    """Connect Four for two agents: ``player_0`` moves first, ``player_1`` second.

    Observations are PettingZoo's own: ``{"observation": (6, 7, 2) int8, "action_mask": (7,) int8}``. Each step takes
    one action, that of the agent to move. At the end of a game both agents receive a final observation, so the loser's
    reward completes a transition too.

    Config keys:
        opening_plies: the number of random moves before each game is drawn uniformly from 0 to this limit (default 0).
            Openings never end a game. The attribute of the same name may be changed between games.
        render_mode: PettingZoo's ``"rgb_array"`` or ``"human"`` (default None).
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["human", "rgb_array"], "name": ENV_NAME, "render_fps": 2}

    def __init__(self, config: Mapping[str, Any] | None = None) -> None:
        """Build PettingZoo's environment.

        Raises:
            ValueError: ``opening_plies`` leaves no move to play.
        """
        super().__init__()
        settings = dict(config or {})
        self.opening_plies: int = settings.get("opening_plies", 0)
        if not 0 <= self.opening_plies < CELLS:
            raise ValueError(f"opening_plies = {self.opening_plies} leaves no move to play: choose 0 to {CELLS - 1}")
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
    ) -> tuple[dict[str, ObservationDict], dict[str, dict[str, Any]]]:
        """Start a game and return the observation of the agent to move.

        Workers with the same ``seed`` draw different sequences of openings.
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
        """Play ``plies`` random moves from the empty board and return whether the game goes on."""
        self.aec.reset(seed=seed)
        for _ in range(plies):
            mask = self.aec.observe(self.aec.agent_selection)["action_mask"]
            self.aec.step(int(pick_legal(mask[None], self._rng.random(1))[0]))
            if any(self.aec.terminations.values()):
                return False
        return True

    def step(
        self, action_dict: Mapping[str, int]
    ) -> tuple[
        dict[str, ObservationDict], dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict[str, Any]]
    ]:
        """Play the action of the agent to move.

        As in PettingZoo, an illegal action ends the game with -1 for the agent who chose it and 0 for the other.
        """
        self.aec.step(int(action_dict[self.aec.agent_selection]))
        over = any(self.aec.terminations.values())
        observers = list(AGENTS) if over else [self.aec.agent_selection]
        observations = {agent: self.aec.observe(agent) for agent in observers}
        rewards = {agent: float(self.aec.rewards[agent]) for agent in observers}
        terminated = {**dict.fromkeys(observers, over), "__all__": over}
        truncated = {**dict.fromkeys(observers, False), "__all__": False}
        return observations, rewards, terminated, truncated, {agent: {} for agent in observers}

    def render(self) -> NDArray[np.uint8] | None:
        """Return an RGB image (height, width, 3) in mode ``"rgb_array"``; show a window in mode ``"human"``."""
        frame: NDArray[np.uint8] | None = self.aec.render()
        return frame

    def close(self) -> None:
        """Close PettingZoo's window if it is open."""
        self.aec.close()


register_env(ENV_NAME, ConnectFourEnv)
