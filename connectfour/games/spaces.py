"""The spaces of a game's observations and actions, as Gymnasium and RLlib know them."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from connectfour.games.contract import Game


def spaces_of(game: Game) -> tuple[gym.Space[Any], gym.Space[Any]]:
    """Return the spaces of a player's observations, with action mask, and of its actions."""
    low, high = game.observation_range
    dtype: Any = np.dtype(game.observation_dtype)
    observation = gym.spaces.Dict(
        observation=gym.spaces.Box(low, high, game.observation_shape, dtype),
        action_mask=gym.spaces.Box(0, 1, (game.actions,), np.int8),
    )
    return observation, gym.spaces.Discrete(game.actions)
