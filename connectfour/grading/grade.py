"""Grades a player's moves against the solved game.

A move is *value-preserving* if it leads to the best result that the position still allows (win, draw or loss), and
*optimal* if it keeps the exact score, which includes the distance to the end. Positions in which every action leads to
the same result are left out: any move preserves the value there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from connectfour.errors import PositionsError
from connectfour.games.contract import Actions, Mask
from connectfour.games.intervals import Z95
from connectfour.games.moves import play_moves
from connectfour.grading.positions import FULL, GradedPositions, load_positions
from connectfour.players.contract import Player

_BUCKETS = 6


@dataclass(frozen=True)
class Grade:
    """How many moves of ``positions`` were value-preserving, and how many were optimal."""

    positions: int
    value_preserving: int
    optimal: int

    @property
    def value_preserving_share(self) -> float:
        """Share of the moves that were value-preserving."""
        return self.value_preserving / self.positions

    @property
    def optimal_share(self) -> float:
        """Share of the moves that were optimal."""
        return self.optimal / self.positions

    def to_json(self) -> dict[str, Any]:
        """Return the number of positions, and both shares with their 95 % intervals."""
        return {
            "positions": self.positions,
            "value_preserving_share": self.value_preserving_share,
            "value_preserving_interval": wilson_interval(self.value_preserving, self.positions),
            "optimal_share": self.optimal_share,
            "optimal_interval": wilson_interval(self.optimal, self.positions),
        }


@dataclass(frozen=True)
class Grades:
    """The verdict on one move in each of N positions; all arrays are (N,).

    Attributes:
        value_preserving: whether the move keeps the result.
        optimal: whether it keeps the score.
        plies: moves that led to the position.
        winning: true if the position is won, false if it is drawn or lost.
        longest: moves in the longest game, which parts by plies divide evenly.
    """

    value_preserving: Mask
    optimal: Mask
    plies: NDArray[np.int64]
    winning: Mask
    longest: int

    @property
    def overall(self) -> Grade:
        """The grade over all positions."""
        return self._count(np.ones(len(self.plies), dtype=np.bool_))

    def by_part(self) -> dict[str, Grade]:
        """Return the grade overall, by plies played, and by the result that the player to move can force."""
        size = math.ceil(self.longest / _BUCKETS)
        starts = range(0, self.longest, size)
        parts = {f"plies {start}-{start + size - 1}": self.plies // size * size == start for start in starts}
        parts |= {"won": self.winning, "drawn": ~self.winning}
        return {"all": self.overall, **{name: self._count(part) for name, part in parts.items() if part.any()}}

    def _count(self, part: Mask) -> Grade:
        return Grade(int(part.sum()), int(self.value_preserving[part].sum()), int(self.optimal[part].sum()))


def grade(player: Player, positions: GradedPositions | None = None, seed: int = 0) -> Grades:
    """Let ``player`` move once in each position whose result depends on the action.

    Args:
        player: the player; a network should play greedily.
        positions: solved positions, by default the packaged half ``test``.
        seed: random seed.

    Raises:
        PositionsError: the result depends on the action in no position.
    """
    positions = positions or load_positions("test")
    decided = positions.select(positions.decides)
    if not len(decided):
        raise PositionsError("no position has moves with different results: add some in which they differ")
    return grade_actions(decided, answer(player, decided, seed))


def answer(player: Player, positions: GradedPositions, seed: int = 0) -> Actions:
    """Return the action (N,) that ``player`` plays in each position.

    A player with a memory is first shown its earlier turns of the game.
    """
    rng = np.random.default_rng(seed)
    state = player.initial_state(len(positions))
    boards = positions.boards
    if state.shape[1]:
        for ply in range(int(positions.plies.max())):
            later = np.flatnonzero(positions.plies > ply)
            turn = play_moves(positions.game, [positions.moves[index][:ply] for index in later.tolist()])
            own = turn.seat == boards.seat[later]
            if own.any():
                here = later[own]
                state[here] = player.act(turn[own].observe(), state[here], rng)[1]
    return player.act(boards.observe(), state, rng)[0]


def grade_actions(positions: GradedPositions, actions: Actions) -> Grades:
    """Grade ``actions`` (N,), one per position; an illegal action preserves nothing."""
    inside = (actions >= 0) & (actions < positions.game.actions)
    chosen = np.where(inside, positions.scores[np.arange(len(positions)), np.where(inside, actions, 0)], FULL)
    legal, best = chosen != FULL, positions.best
    return Grades(
        legal & (np.sign(chosen) == np.sign(best)),
        legal & (chosen == best),
        positions.plies,
        best > 0,
        positions.game.max_plies,
    )


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """Return the 95 % interval of a proportion (Wilson 1927)."""
    share, scale = successes / trials, 1 + Z95**2 / trials
    center = (share + Z95**2 / (2 * trials)) / scale
    half = Z95 / scale * math.sqrt(share * (1 - share) / trials + Z95**2 / (4 * trials**2))
    return max(0.0, center - half), min(1.0, center + half)
