"""Random openings: positions from which games start, so that they do not repeat one another."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from connectfour.game.bitboard import Boards, pick_legal


def random_openings(plies: NDArray[np.integer], rng: np.random.Generator) -> Boards:
    """Return boards after ``plies`` (N,) uniformly random legal plies each; no game is over.

    A board whose game ends on the way is drawn again at the same length, so lengths stay as wanted. A length of 42 has
    no solution.
    """
    boards = Boards(len(plies))
    missing = np.flatnonzero(plies > 0)
    while len(missing):
        drawn, wanted = Boards(len(missing)), plies[missing]
        for ply in range(int(wanted.max())):
            # A board that was reset on the way has fewer discs and is left alone.
            going = np.flatnonzero((drawn.plies == ply) & (wanted > ply))
            turn = drawn[going]
            turn.play(pick_legal(turn.legal(), rng.random(len(turn))))
            turn.reset(turn.over)
            drawn.assign(going, turn)
        complete = drawn.plies == wanted
        boards.assign(missing[complete], drawn[complete])
        missing = missing[~complete]
    return boards


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
