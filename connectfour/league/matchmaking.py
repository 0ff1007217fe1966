"""One seeded (opponent, seat) per game, and the tally of how the games ended.

Every env runner holds a ``Matchmaker``; the league sends it a ``Roster`` whenever the pool changes. Priorities follow
prioritised fictitious self-play (Vinyals et al. 2019, AlphaStar, "PFSP hard": (1 - score)^2) with a floor.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

import numpy as np
from numpy.typing import NDArray

MAIN = "main"
"""Id of the policy that learns, as a player and as an RLlib module."""

Result = Literal["win", "draw", "loss"]
RESULTS: tuple[Result, ...] = ("win", "draw", "loss")


@dataclass(frozen=True)
class MatchUp:
    """One game: main in ``main_seat`` (0 moves first) against ``opponent``, played by RLlib module ``module``."""

    opponent: str
    module: str
    main_seat: int

    def module_in(self, seat: int) -> str:
        """Return the RLlib module that plays ``seat``."""
        return MAIN if seat == self.main_seat else self.module

    @property
    def is_mirror(self) -> bool:
        """Whether main plays itself."""
        return self.opponent == MAIN


MIRROR = MatchUp(MAIN, MAIN, 0)


@dataclass(frozen=True)
class Roster:
    """What an env runner must know of the league.

    Attributes:
        modules: the RLlib module that plays each active opponent, by opponent id.
        weights: the share of pool games of each opponent, in the same order; they sum to 1.
        mirror_share: share of all games that main plays against itself.
        seed: seed of the draws; each worker adds its own index.
    """

    modules: Mapping[str, str]
    weights: tuple[float, ...]
    mirror_share: float
    seed: tuple[int, ...]


@dataclass(frozen=True)
class Tally:
    """How many games main played in ``main_seat`` against ``opponent`` with ``result``, seen by main."""

    opponent: str
    main_seat: int
    result: Result
    games: int


class Matchmaker:
    """Draws match-ups from one generator and counts results."""

    def __init__(self, roster: Roster, worker_index: int = 0) -> None:
        """Draw from ``roster``; two workers draw different sequences."""
        self._worker_index = worker_index
        self._counts: Counter[tuple[str, int, Result]] = Counter()
        self._seats: Counter[tuple[str, int]] = Counter()
        self.follow(roster)

    def follow(self, roster: Roster) -> None:
        """Draw from ``roster`` from now on; the balance of seats and the results counted so far stay."""
        self._roster = roster
        self._opponents = list(roster.modules)
        self._cumulative = list(accumulate(roster.weights))
        self._rng = np.random.default_rng((*roster.seed, self._worker_index))

    @property
    def roster(self) -> Roster:
        """The roster that draws come from."""
        return self._roster

    def draw(self) -> MatchUp:
        """Draw the next game."""
        return MIRROR if self.draw_mirrors(1)[0] else self.draw_from_pool()

    def draw_mirrors(self, games: int) -> NDArray[np.bool_]:
        """Draw which of the next games (games,) main plays against itself."""
        mirrors: NDArray[np.bool_] = self._rng.random(games) < self._roster.mirror_share
        return mirrors

    def draw_from_pool(self) -> MatchUp:
        """Draw a game against the pool: an opponent, then main's seat, balanced per opponent in blocks of two."""
        # A generator's choice(p=...) would take longer than all the rest of starting a game.
        opponent = self._opponents[bisect_right(self._cumulative, self._rng.random() * self._cumulative[-1])]
        lead = self._seats[opponent, 0] - self._seats[opponent, 1]
        seat = int(self._rng.integers(2)) if lead == 0 else int(lead > 0)
        self._seats[opponent, seat] += 1
        return MatchUp(opponent, self._roster.modules[opponent], seat)

    def record(self, match_up: MatchUp, result: Result) -> None:
        """Count a finished game, seen by main.

        Mirror games say nothing about the pool, and a game whose opponent left its slot meanwhile was played by two
        policies in turn: neither is counted.
        """
        if not match_up.is_mirror and self._roster.modules.get(match_up.opponent) == match_up.module:
            self._counts[match_up.opponent, match_up.main_seat, result] += 1

    def drain(self) -> list[Tally]:
        """Return the games counted since the last call."""
        tallies = [Tally(*key, games) for key, games in self._counts.items()]
        self._counts.clear()
        return tallies


def pfsp_weights(scores: Sequence[float], floor: float) -> tuple[float, ...]:
    """Return the share of games of opponents against whom main scores ``scores`` (each in [0, 1]).

    A share ``floor`` is spread evenly; the rest goes by (1 - score)^2, so that no opponent is ever forgotten.
    """
    hardness = (1 - np.asarray(scores, dtype=np.float64)) ** 2
    total = hardness.sum()
    even = np.full(len(scores), 1 / len(scores))
    weights = floor * even + (1 - floor) * (hardness / total if total > 0 else even)
    return tuple((weights / weights.sum()).tolist())
