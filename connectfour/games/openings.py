"""Random openings: starting positions that keep games from repeating each other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from connectfour.errors import ConfigError
from connectfour.games.contract import Actions, Boards, Game
from connectfour.games.moves import pick_legal

# Random games often end before they reach the wanted length, so this many are started for each opening.
_GAMES_PER_OPENING = 3
# After so many attempts in a row without a single opening, each starts twice as many games as the one before.
_PATIENT_ATTEMPTS = 200
# It gives up when one opening takes this many times ``Game.opening_batch`` games.
_MOST_BATCHES = 8


def random_openings(game: Game, plies: NDArray[np.integer], rng: np.random.Generator) -> Boards:
    """Return N boards of unfinished games, board i after ``plies[i]`` uniformly random legal actions.

    Games that end early are replaced, so every board has the requested length.

    Raises:
        ConfigError: random games never last that long.
    """
    boards = game.boards(len(plies))
    missing = np.flatnonzero(plies > 0)
    attempts = 0
    while len(missing):
        wanted = plies[missing]
        games = game.boards(_games(attempts) * len(missing))
        for ply in range(1, int(wanted.max()) + 1):
            games.play(pick_legal(games.legal(), rng.random(len(games))))
            games = games[~games.over]
            served = missing[wanted == ply][: len(games)]
            boards.assign(served, games[: len(served)])
            games = games[len(served) :]
            if not len(games):
                break
        attempts = _count_attempt(game, attempts, wanted, found=bool((boards.plies[missing] > 0).any()))
        missing = missing[boards.plies[missing] == 0]
    return boards


def random_opening_moves(game: Game, count: int, plies: int, rng: np.random.Generator) -> Actions:
    """Return the actions (count, plies) of ``count`` random openings whose games are not over.

    Raises:
        ConfigError: random games never last that long.
    """
    found = np.zeros((0, plies), dtype=np.int64)
    attempts = 0
    while len(found) < count:
        games = game.boards(_games(attempts) * count)
        actions = np.zeros((len(games), plies), dtype=np.int64)
        for ply in range(plies):
            actions[:, ply] = pick_legal(games.legal(), rng.random(len(games)))
            games.play(actions[:, ply])
            actions, games = actions[~games.over], games[~games.over]
        attempts = _count_attempt(game, attempts, np.array([plies]), found=len(actions) > 0)
        found = np.concatenate([found, actions])
    return found[:count]


def _games(attempts: int) -> int:
    """Return how many games are started for each opening after ``attempts`` in vain."""
    return int(_GAMES_PER_OPENING * 2 ** max(0, attempts - _PATIENT_ATTEMPTS))


def _count_attempt(game: Game, attempts: int, wanted: NDArray[np.integer], *, found: bool) -> int:
    attempts = 0 if found else attempts + 1
    if _games(attempts) > _MOST_BATCHES * game.opening_batch:
        raise ConfigError(
            f"openings of {int(wanted.max())} random plies leave no game of {game.name} unfinished: choose fewer plies"
        )
    return attempts


class OpeningStock:
    """A supply of random openings. They are drawn in batches, because a few cost as much as many."""

    def __init__(self, game: Game, limit: int, rng: np.random.Generator) -> None:
        """Draw lengths uniformly from 0 to ``limit`` plies, with ``rng`` as the source of randomness."""
        self._game, self._limit, self._rng = game, limit, rng
        self._boards, self._used = game.boards(0), 0

    def take(self, count: int) -> Boards:
        """Return ``count`` new openings."""
        if self._used + count > len(self._boards):
            size = max(count, self._game.opening_batch)
            plies = self._rng.integers(self._limit + 1, size=size)
            self._boards, self._used = random_openings(self._game, plies, self._rng), 0
        self._used += count
        return self._boards[self._used - count : self._used]
