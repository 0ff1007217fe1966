"""Random openings: starting positions that keep games from repeating each other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from connectfour.games.connect_four.bitboard import Boards, Moves, pick_legal

# Random games often end before they reach the wanted length, so this many are started for each opening.
_GAMES_PER_OPENING = 3


def random_openings(plies: NDArray[np.integer], rng: np.random.Generator) -> Boards:
    """Return N boards of unfinished games, board i after ``plies[i]`` uniformly random legal moves.

    Games that end early are replaced, so every board has the requested length, at most 41 plies.
    """
    boards = Boards(len(plies))
    missing = np.flatnonzero(plies > 0)
    while len(missing):
        wanted = plies[missing]
        games = Boards(_GAMES_PER_OPENING * len(missing))
        for ply in range(1, int(wanted.max()) + 1):
            games.play(pick_legal(games.legal(), rng.random(len(games))))
            games = games[~games.over]
            served = missing[wanted == ply][: len(games)]
            boards.assign(served, games[: len(served)])
            games = games[len(served) :]
        missing = missing[boards.plies[missing] == 0]
    return boards


def random_opening_moves(count: int, plies: int, rng: np.random.Generator) -> Moves:
    """Return the moves (count, plies) of ``count`` random openings whose games are not over."""
    found = np.zeros((0, plies), dtype=np.int64)
    while len(found) < count:
        games = Boards(_GAMES_PER_OPENING * count)
        columns = np.zeros((len(games), plies), dtype=np.int64)
        for ply in range(plies):
            columns[:, ply] = pick_legal(games.legal(), rng.random(len(games)))
            games.play(columns[:, ply])
            columns, games = columns[~games.over], games[~games.over]
        found = np.concatenate([found, columns])
    return found[:count]


class OpeningStock:
    """A supply of random openings. They are drawn in large batches, because a few cost as much as thousands."""

    _SIZE = 8192

    def __init__(self, limit: int, rng: np.random.Generator) -> None:
        """Draw lengths uniformly from 0 to ``limit`` plies, with ``rng`` as the source of randomness."""
        self._limit, self._rng = limit, rng
        self._boards, self._used = Boards(0), 0

    def take(self, count: int) -> Boards:
        """Return ``count`` new openings."""
        if self._used + count > len(self._boards):
            size = max(count, self._SIZE)
            self._boards, self._used = random_openings(self._rng.integers(self._limit + 1, size=size), self._rng), 0
        self._used += count
        return self._boards[self._used - count : self._used]
