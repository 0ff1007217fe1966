"""``Environments`` of one kind, and an ``Episode`` in one of them."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from gymnasium.spaces import Space
from gymnasium.utils import EzPickle
from numpy.typing import NDArray
from pettingzoo import AECEnv, ParallelEnv
from pettingzoo.utils.wrappers import AssertOutOfBoundsWrapper, OrderEnforcingWrapper, TerminateIllegalWrapper

from connectfour.errors import GameError
from connectfour.games.contract import Mask

# They guard against calls that boards never make, and cost as much as a small game itself.
_GUARDS = (AssertOutOfBoundsWrapper, OrderEnforcingWrapper, TerminateIllegalWrapper)
_MOST_IDLE = 1024
_ROUNDING = 1e-4


class Episode:
    """One game in one environment.

    The environment goes back to those that are idle when nobody holds the episode any more.

    Attributes:
        seed: seed of its chance.
        actions: the actions played.
        agent: the agent to move.
        seat: its seat; the agent that moves first sits in seat 0.
        over: whether the game has ended.
        won: what seats 0 and 1 have won so far.
    """

    __slots__ = ("_first", "_idle", "_second", "actions", "agent", "env", "over", "seat", "seed", "won")

    def __init__(self, env: Any, seed: int, idle: list[Any]) -> None:
        """Start a game in ``env``, which belongs to ``idle``."""
        self.env, self.seed, self._idle = env, seed, idle
        env.reset(seed=seed)
        self.agent = self._first = env.agent_selection
        self._second = next((agent for agent in env.possible_agents if agent != self._first), self._first)
        self.actions: list[int] = []
        self.seat, self.over, self.won = 0, False, (0.0, 0.0)

    def __del__(self) -> None:
        """Give the environment back."""
        if len(self._idle) < _MOST_IDLE:
            self._idle.append(self.env)

    def step(self, action: int) -> None:
        """Play a legal action."""
        env = self.env
        env.step(action)
        self.actions.append(action)
        rewards = env.rewards
        first, second = rewards.get(self._first, 0), rewards.get(self._second, 0)
        if first or second:
            self.won = self.won[0] + float(first), self.won[1] + float(second)
        agent = env.agent_selection
        if env.terminations.get(agent, True) or env.truncations.get(agent, True):
            self._pass_over_the_dead()
            agent = env.agent_selection
        self.agent = agent
        self.seat = 0 if agent == self._first else 1

    def observe(self) -> tuple[Any, Any]:
        """Return what the agent to move sees, and its action mask; None if it has none."""
        seen = self.env.observe(self.agent)
        planes, mask = (seen.get("observation"), seen.get("action_mask")) if isinstance(seen, dict) else (seen, None)
        return planes, self.env.infos.get(self.agent, {}).get("action_mask") if mask is None else mask

    def continue_in(self, env: Any) -> Episode:
        """Return the same game in ``env``, whose state is the same."""
        twin = Episode.__new__(Episode)
        for name in self.__slots__:
            setattr(twin, name, getattr(self, name))
        twin.env, twin.actions = env, self.actions.copy()
        return twin

    def _pass_over_the_dead(self) -> None:
        """Step agents whose part has ended, as PettingZoo demands; the game is over when no other is left."""
        env = self.env

        def dead(agent: Any) -> bool:
            return bool(env.terminations.get(agent, True) or env.truncations.get(agent, True))

        while not all(dead(agent) for agent in env.agents):
            if not dead(env.agent_selection):
                return
            env.step(None)
        self.over = True


class Environments:
    """Environments of one kind, made when needed and used again.

    Attributes:
        name: the game's name.
        actions: number of actions.
        shape, dtype: shape and dtype of observations.
        bounds: the smallest and the largest number in them.
        max_plies: number of actions after which a game is a draw.
        largest_return: the largest return of a game, by which returns are divided.
        always_legal: whether every action is legal where an environment shows no action mask.
        has_chance: whether other seeds lead to other games.
        shortest: plies of the shortest of some random games.
        replays: whether an environment is copied by playing its actions again, because its state cannot be copied.
    """

    def __init__(
        self,
        name: str,
        make: Callable[[], Any],
        actions: int,
        shape: tuple[int, ...],
        dtype: Any,
        max_plies: int,
        largest_return: float = 1.0,
        *,
        always_legal: bool = False,
        bounds: tuple[float, float] = (0, 1),
        replays: bool = False,
        has_chance: bool = False,
        shortest: int = 0,
    ) -> None:
        """Describe environments that ``make`` makes."""
        self.name, self._make = name, make
        self.actions, self.shape, self.dtype, self.max_plies = actions, shape, np.dtype(dtype), max_plies
        self.largest_return, self.always_legal, self.bounds = largest_return, always_legal, bounds
        self.replays, self.has_chance, self.shortest = replays, has_chance, shortest
        # Without a mask, all actions are legal, or the empty array is found to have the wrong shape.
        self._no_mask = np.ones(actions if always_legal else 0, np.int8)
        self._idle: list[Any] = []

    @property
    def observation_bytes(self) -> int:
        """Bytes of an observation, without its action mask."""
        return math.prod(self.shape) * int(self.dtype.itemsize)

    def start(self, seed: int) -> Episode:
        """Return a new game, whose chance follows ``seed``."""
        env = self._idle.pop() if self._idle else _without_guards(self._make())
        return Episode(env, seed, self._idle)

    def copy(self, episode: Episode) -> Episode:
        """Return the same game in another environment."""
        return self.replay(episode) if self.replays else self.copy_state(episode)

    def copy_state(self, episode: Episode) -> Episode:
        """Return the same game in a copy of its environment."""
        return episode.continue_in(_deep_copy(episode.env))

    def replay(self, episode: Episode) -> Episode:
        """Return the same game, played again from its seed."""
        again = self.start(episode.seed)
        for action in episode.actions:
            again.step(action)
        return again

    def observe(self, episodes: Sequence[Episode]) -> tuple[NDArray[Any], Mask]:
        """Return what agents to move see, (N, *shape), and their legal actions, (N, actions) bool.

        Raises:
            GameError: an observation or mask has another shape, or an agent has no legal action.
        """
        count = len(episodes)
        seen = [episode.observe() for episode in episodes]
        try:
            planes = np.concatenate([planes for planes, _ in seen]).reshape(count, *self.shape)
            masks = [self._no_mask if mask is None else mask for _, mask in seen]
            legal = np.concatenate(masks).reshape(count, self.actions) != 0
        except ValueError:
            raise GameError(
                f"observations or action masks of {self.name} change their shape during a game: make them {self.shape} "
                f"and ({self.actions},)"
            ) from None
        if not legal.any(axis=1).all():
            raise GameError(f"a player of {self.name} has no legal action while the game goes on: give it one to pass")
        return planes.astype(self.dtype, copy=False), legal

    def returns(self, episode: Episode) -> tuple[float, float]:
        """Return what seats 0 and 1 have won, from -1 to 1.

        Raises:
            GameError: their returns do not sum to zero, or are larger than ``largest_return``.
        """
        first, second = episode.won
        if not abs(first + second) <= _ROUNDING * max(1.0, abs(first)):  # also where one is not a number
            raise GameError(
                f"a game of {self.name} ended with returns {first:g} and {second:g}: they must sum to zero, so change "
                "the environment's rewards"
            )
        if abs(first) > self.largest_return + _ROUNDING:
            raise GameError(
                f"a game of {self.name} ended with the return {abs(first):g}: set the option largest_return, now "
                f"{self.largest_return:g}, to the largest with which a game can end"
            )
        return first / self.largest_return, second / self.largest_return


def _without_guards(env: Any) -> Any:
    while type(env) in _GUARDS:
        env = env.env
    return env


def _deep_copy(env: Any) -> Any:
    """Copy ``env`` and its state.

    ``copy.deepcopy`` makes a *new* environment of an ``EzPickle``, as all of PettingZoo's are, so these are copied
    attribute by attribute. Spaces have no state that a game depends on; copies share them.
    """
    wrappers = [env]
    while isinstance(inner := vars(wrappers[-1]).get("env"), AECEnv | ParallelEnv):
        wrappers.append(inner)
    memo: dict[int, Any] = {}
    for each in wrappers:
        for value in vars(each).values():
            spaces = value.values() if isinstance(value, dict) else [value]
            memo.update({id(space): space for space in spaces if isinstance(space, Space)})
    pickled = [each for each in wrappers if isinstance(each, EzPickle)]
    memo.update({id(each): object.__new__(type(each)) for each in pickled})
    for each in pickled:
        vars(memo[id(each)]).update(copy.deepcopy(vars(each), memo))
    return copy.deepcopy(env, memo)
