"""Draws an (opponent, seat) for each game and counts the results.

Every env runner has a ``Matchmaker``; the league sends it a ``Roster`` whenever the pool changes. Priorities follow
prioritized fictitious self-play (Vinyals et al. 2019, AlphaStar, "PFSP hard": (1 - score)^2) with a floor.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from connectfour.games.result import Result, Score, SeatScores
from connectfour.league.members import MAIN

_REMEMBERED_GAMES = 1000


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
    """What an env runner needs to know about the league.

    Attributes:
        modules: the RLlib module that plays each active opponent, by opponent id.
        weights: each opponent's share of the games against the pool, in the same order; they sum to 1.
        mirror_share: share of all games that main plays against itself.
        seed: seed of the draws; each worker adds its own stream.
    """

    modules: Mapping[str, str]
    weights: tuple[float, ...]
    mirror_share: float
    seed: tuple[int, ...]


class Matchmaker:
    """Draws match-ups from one generator and counts results."""

    def __init__(self, roster: Roster, stream: Sequence[int] = (0,)) -> None:
        """Draw from ``roster``; two streams draw different sequences."""
        self._stream = tuple(stream)
        self._results: dict[str, SeatScores] = {}
        self._seen: dict[str, dict[Hashable, None]] = {}
        self._lead_of_first_seat: dict[str, int] = {}
        self.follow(roster)

    def follow(self, roster: Roster) -> None:
        """Draw from ``roster`` from now on; the balance of seats and the results counted so far stay."""
        self._roster = roster
        self._seen = {name: games for name, games in self._seen.items() if name in roster.modules}
        self._opponents = list(roster.modules)
        self._cumulative = list(accumulate(roster.weights))
        self._rng = np.random.default_rng((*roster.seed, *self._stream))

    @property
    def roster(self) -> Roster:
        """The roster that match-ups are drawn from."""
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
        # A generator's choice(p=...) would take longer than everything else that starts a game.
        opponent = self._opponents[bisect_right(self._cumulative, self._rng.random() * self._cumulative[-1])]
        lead = self._lead_of_first_seat.get(opponent, 0)
        seat = int(self._rng.integers(2)) if lead == 0 else int(lead > 0)
        self._lead_of_first_seat[opponent] = lead + (1 if seat == 0 else -1)
        return MatchUp(opponent, self._roster.modules[opponent], seat)

    def record(self, match_up: MatchUp, result: Result, history: Hashable | None) -> None:
        """Count a finished game, given main's result and what tells the game from others; None counts every game.

        Three kinds of games are left out: those against itself, which say nothing about the pool; those whose opponent
        left its slot before the end, because two policies played them; and those that repeat a recent game, because
        they say nothing new.
        """
        if match_up.is_mirror or self._roster.modules.get(match_up.opponent) != match_up.module:
            return
        if history is None or not self._is_repeated(match_up, history):
            before = self._results.get(match_up.opponent, SeatScores())
            self._results[match_up.opponent] = before + SeatScores.of(match_up.main_seat, Score.of(result))

    def _is_repeated(self, match_up: MatchUp, history: Hashable) -> bool:
        """Return whether one of the latest games against the same opponent was the same."""
        seen = self._seen.setdefault(match_up.opponent, {})
        game = (match_up.main_seat, history)
        repeated = game in seen
        seen.pop(game, None)
        seen[game] = None
        if len(seen) > _REMEMBERED_GAMES:
            del seen[next(iter(seen))]
        return repeated

    def drain(self) -> dict[str, SeatScores]:
        """Return main's scores by opponent from the games counted since the last call."""
        results, self._results = self._results, {}
        return results


def pfsp_weights(scores: Sequence[float], floor: float) -> tuple[float, ...]:
    """Return each opponent's share of games, given main's score in [0, 1] against each.

    A share ``floor`` is spread evenly, so that no opponent is ever forgotten; the rest goes by (1 - score)^2.
    """
    hardness = (1 - np.asarray(scores, dtype=np.float64)) ** 2
    total = hardness.sum()
    even = np.full(len(scores), 1 / len(scores))
    weights = floor * even + (1 - floor) * (hardness / total if total > 0 else even)
    return tuple((weights / weights.sum()).tolist())
