"""Random openings: positions from which games start, so that they do not repeat one another."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from connectfour.games.connect_four.bitboard import Boards, Columns, pick_legal

# Many random games end early: this many times the openings that are missing are begun, so that enough last.
_SPARE = 3


def random_openings(plies: NDArray[np.integer], rng: np.random.Generator) -> Boards:
    """Return boards after ``plies`` (N,) uniformly random legal plies each; no game is over.

    A board of L plies is a random game that did not end before, so lengths stay as wanted. A length of 42 has no
    solution.
    """
    boards = Boards(len(plies))
    missing = np.flatnonzero(plies > 0)
    while len(missing):
        wanted = plies[missing]
        games = Boards(_SPARE * len(missing))
        for ply in range(1, int(wanted.max()) + 1):
            games.play(pick_legal(games.legal(), rng.random(len(games))))
            games = games[~games.over]
            served = missing[wanted == ply][: len(games)]
            boards.assign(served, games[: len(served)])
            games = games[len(served) :]
        missing = missing[boards.plies[missing] == 0]
    return boards


def random_opening_moves(count: int, plies: int, rng: np.random.Generator) -> Columns:
    """Return the columns (count, plies) of ``count`` random openings of ``plies`` plies; no game is over."""
    found = np.zeros((0, plies), dtype=np.int64)
    while len(found) < count:
        games = Boards(_SPARE * count)
        columns = np.zeros((len(games), plies), dtype=np.int64)
        for ply in range(plies):
            columns[:, ply] = pick_legal(games.legal(), rng.random(len(games)))
            games.play(columns[:, ply])
            columns, games = columns[~games.over], games[~games.over]
        found = np.concatenate([found, columns])
    return found[:count]


class OpeningStock:
    """Random openings of 0 to ``limit`` plies, made many at a time: a few would cost as much as thousands."""

    _SIZE = 8192

    def __init__(self, limit: int, rng: np.random.Generator) -> None:
        """Draw from ``rng``, all lengths equally often."""
        self._limit, self._rng = limit, rng
        self._boards, self._used = Boards(0), 0

    def take(self, count: int) -> Boards:
        """Return ``count`` openings that were not handed out before."""
        if self._used + count > len(self._boards):
            size = max(count, self._SIZE)
            self._boards, self._used = random_openings(self._rng.integers(self._limit + 1, size=size), self._rng), 0
        self._used += count
        return self._boards[self._used - count : self._used]
