"""Any of PettingZoo's environments for two players as a ``Game``."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from connectfour.games.contract import Game
from connectfour.games.observation import Observation
from connectfour.games.pettingzoo.boards import PettingZooBoards
from connectfour.games.pettingzoo.checks import examine

MAX_PLIES = 1000
_OURS = ("max_plies", "largest_return", "always_legal")
_SEEDS = 2**31


class PettingZooGame(Game):
    """A game that is played in environments of a PettingZoo module, stepped one after the other.

    The league sees what the environment shows an agent and nothing else, so such a game cannot be searched. Each game
    has a seed, with which its environment is reset; the seeds come from ``seed``, so chance is reproducible.
    """

    heuristics = ("random",)
    anchors = ("random",)
    opening_batch: ClassVar[int] = 64

    def __init__(self, module: str, options: Mapping[str, Any] | None = None) -> None:
        """Examine the environments of ``module`` by playing a few random games.

        Args:
            module: import path of a module with a function ``env``, such as ``pettingzoo.classic.go_v5``; it may lie in
                the working directory.
            options: keyword arguments of ``env``; ``max_plies`` (default 1,000), after which a game is a draw;
                ``largest_return`` (default 1), by which returns are divided; and ``always_legal`` (default false),
                with which every action is legal in an environment without an action mask.

        Raises:
            GameError: the environment does not fit a league.
        """
        self.name = f"pettingzoo:{module}"
        self.options = MappingProxyType(dict(options or {}))
        ours = {"max_plies": MAX_PLIES} | {name: self.options[name] for name in _OURS if name in self.options}
        rest = {name: value for name, value in self.options.items() if name not in _OURS}
        self._environments = examine(self.name, module, rest, **ours)
        self.max_plies = self._environments.max_plies
        self.actions = self._environments.actions
        self.observation_shape = self._environments.shape
        self.observation_dtype = self._environments.dtype.type
        self.observation_range = self._environments.bounds
        self.has_chance = self._environments.has_chance
        # So that openings of a short game leave something to play.
        longest_opening = max(0, self._environments.shortest - 2)
        self.opening_plies = 0 if self.has_chance else min(2, longest_opening)
        self.settings = MappingProxyType(
            {
                "rollout": {
                    "mirror_opening_plies": min(4, longest_opening),
                    "pool_opening_plies": min(2, longest_opening),
                    "envs_per_runner": 256,
                }
            }
        )
        self.seed(0)

    def __reduce__(self) -> tuple[type[PettingZooGame], tuple[str, dict[str, Any]]]:
        """Travel as module and options."""
        return PettingZooGame, (self.name.partition(":")[2], dict(self.options))

    @override
    def seed(self, seed: int) -> None:
        self._seeds = np.random.default_rng(seed)

    @override
    def boards(self, count: int) -> PettingZooBoards:
        return PettingZooBoards(self._environments, self._seeds.integers(_SEEDS, size=count))

    @override
    def expand(self, packed: NDArray[np.uint8]) -> Observation:
        size = self.observation_bytes
        planes = np.array(packed[:, :size], order="C").view(self.observation_dtype)
        mask = np.array(packed[:, size:], order="C").view(np.int8)
        return Observation(planes.reshape(len(packed), *self.observation_shape), mask)

    @cached_property
    @override
    def searchable(self) -> bool:
        return False

    @cached_property
    @override
    def packed(self) -> NDArray[np.uint8]:
        return np.zeros((1, self.observation_bytes + self.actions), np.uint8)
