"""``PettingZooBoards``: N environments in lockstep, stepped one after the other."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from connectfour.games.contract import Actions, Boards, Index, Mask
from connectfour.games.observation import Observation
from connectfour.games.pettingzoo.environments import Environments, Episode


class PettingZooBoards(Boards):
    """N games in lockstep.

    A game gets an environment when it is first looked at, so boards that are thrown away cost little. Each environment
    is asked for an observation once per ply. Selected boards share environments with the original ones: playing on one
    side makes the other unusable, which ``play`` notices.

    Attributes:
        seat, plies, over, returns: see ``Boards``.
    """

    _ARRAYS = ("seat", "plies", "over", "returns", "_seeds", "_planes", "_legal", "_unseen")

    seat: NDArray[np.int64] = np.zeros(0, np.int64)
    plies: NDArray[np.int64] = np.zeros(0, np.int64)
    over: Mask = np.zeros(0, np.bool_)
    returns: NDArray[np.float32] = np.zeros((0, 2), np.float32)

    def __init__(self, environments: Environments, seeds: NDArray[np.int64]) -> None:
        """Set up a game for each of ``seeds`` (N,)."""
        count = len(seeds)
        self._environments = environments
        self._episodes: list[Episode | None] = [None] * count
        self._seeds = seeds
        self.seat = np.zeros(count, np.int64)
        self.plies = np.zeros(count, np.int64)
        self.over = np.zeros(count, np.bool_)
        self.returns = np.zeros((count, 2), np.float32)
        self._planes: NDArray[Any] = np.zeros((count, *environments.shape), environments.dtype)
        self._legal = np.zeros((count, environments.actions), np.bool_)
        self._unseen = np.ones(count, np.bool_)

    @override
    def __len__(self) -> int:
        return len(self.seat)

    @override
    def __getitem__(self, index: Index) -> PettingZooBoards:
        rows = np.arange(len(self))[index].tolist()
        episodes = [self._episodes[row] for row in rows]
        if len(set(rows)) < len(rows):
            episodes = self._apart(episodes)
        return self._select(index, episodes)

    @override
    def copy(self) -> PettingZooBoards:
        going = (~self.over).tolist()
        return self._select(
            slice(None),
            [
                self._environments.copy(episode) if episode and on else None
                for episode, on in zip(self._episodes, going, strict=True)
            ],
        )

    @override
    def assign(self, index: NDArray[np.integer] | Mask, boards: PettingZooBoards) -> None:
        for row, episode in zip(np.arange(len(self))[index].tolist(), boards._episodes, strict=True):
            self._episodes[row] = episode
        # Into new arrays: ``index`` may be ``over`` itself, and callers may hold the old ones.
        for name in self._ARRAYS:
            array = getattr(self, name).copy()
            array[index] = getattr(boards, name)
            setattr(self, name, array)

    @override
    def observe(self) -> Observation:
        """Return what the players to move see; zeros where the game is over."""
        self._look()
        return Observation(self._planes, self._legal.view(np.int8))

    @override
    def legal(self) -> Mask:
        self._look()
        return self._legal

    @override
    def play(self, actions: Actions) -> None:
        """Play one legal action (N,) on every board.

        Raises:
            ValueError: a game is over, or an action is illegal.
            RuntimeError: a game was continued on boards that share it.
        """
        if self.over.any():
            raise ValueError(f"{int(self.over.sum())} of {len(self)} games are over: replace them before the next move")
        self._look()
        illegal = ~self._legal[np.arange(len(self)), actions]
        if illegal.any():
            raise ValueError(
                f"{int(illegal.sum())} of {len(self)} actions are illegal, {int(actions[illegal][0])} first"
            )
        episodes = self._started(np.arange(len(self)))
        for episode, ply, action in zip(episodes, self.plies.tolist(), actions.tolist(), strict=True):
            if len(episode.actions) != ply:
                raise RuntimeError(f"a game at ply {ply} was continued on other boards: copy the boards first")
            episode.step(action)
        self.plies = self.plies + 1
        self.seat = np.array([episode.seat for episode in episodes], np.int64)
        ended = np.array([episode.over for episode in episodes], np.bool_)
        self.over = ended | (self.plies >= self._environments.max_plies)
        self.returns = np.zeros((len(self), 2), np.float32)
        for row in np.flatnonzero(ended).tolist():
            self.returns[row] = self._environments.returns(episodes[row])
        self._unseen = ~self.over
        if self.over.any():
            self._planes, self._legal = self._planes.copy(), self._legal.copy()
            self._planes[self.over] = 0
            self._legal[self.over] = False

    @override
    def pack(self) -> NDArray[np.uint8]:
        """Return the bytes of observation and action mask, (N, bytes)."""
        self._look()
        count = len(self)
        planes = self._planes.reshape(-1).view(np.uint8).reshape(count, self._environments.observation_bytes)
        return np.concatenate([planes, self._legal.view(np.uint8)], axis=1)

    def _look(self) -> None:
        """Observe where that has not happened yet."""
        rows = np.flatnonzero(self._unseen)
        if not len(rows):
            return
        planes, legal = self._environments.observe(self._started(rows))
        if len(rows) < len(self):
            seen, seen_legal = planes, legal
            planes, legal = self._planes.copy(), self._legal.copy()
            planes[rows], legal[rows] = seen, seen_legal
        self._planes, self._legal = planes, legal
        self._unseen = np.zeros(len(self), np.bool_)

    def _started(self, rows: NDArray[np.integer]) -> list[Episode]:
        """Return the episodes in ``rows``, and start those that have not started."""
        found = []
        for row in rows.tolist():
            episode = self._episodes[row]
            if episode is None:
                episode = self._episodes[row] = self._environments.start(int(self._seeds[row]))
            found.append(episode)
        return found

    def _apart(self, episodes: list[Episode | None]) -> list[Episode | None]:
        """Copy episodes that are there more than once."""
        held: set[int] = set()
        apart: list[Episode | None] = []
        for episode in episodes:
            repeated = episode is not None and id(episode) in held
            held.add(id(episode))
            apart.append(self._environments.copy(episode) if repeated and episode else episode)
        return apart

    def _select(self, index: Index, episodes: list[Episode | None]) -> PettingZooBoards:
        selected = self.__class__(self._environments, np.zeros(0, np.int64))
        selected.__dict__["_episodes"] = episodes
        for name in self._ARRAYS:
            setattr(selected, name, getattr(self, name)[index].copy())
        return selected
