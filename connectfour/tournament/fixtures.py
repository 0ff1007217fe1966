"""Draws the games of a pair: alternating seats, and openings that are the same in every run."""

from __future__ import annotations

import zlib
from collections import Counter

import numpy as np

from connectfour.match_log.log import MatchLog, Seating
from connectfour.matches.records import GameSpec
from connectfour.tournament.pairing import Pair
from connectfour.tournament.plan import Plan

_OPENINGS_AT_ONCE = 32


class Fixtures:
    """The games that were drawn so far, played or not."""

    def __init__(self, log: MatchLog, plan: Plan) -> None:
        """Continue after the games of ``log``."""
        self._plan = plan
        self._next_id = log.next_id
        self._drawn: Counter[Seating] = Counter((game.first, game.second) for game in log.games)
        self._blocks: dict[tuple[Pair, int], list[str]] = {}

    @property
    def by_pair(self) -> Counter[Pair]:
        """Number of games by pair."""
        games: Counter[Pair] = Counter()
        for (first, second), count in self._drawn.items():
            games[min(first, second), max(first, second)] += count
        return games

    def draw(self, pair: Pair, count: int) -> tuple[GameSpec, ...]:
        """Return the next ``count`` games of ``pair``; both seatings get the same openings."""
        games = []
        for _ in range(count):
            seating = min(_seatings(pair), key=lambda each: self._drawn[each])
            opening = self._opening(pair, self._drawn[seating])
            self._drawn[seating] += 1
            games.append(GameSpec(self._next_id, *seating, opening))
            self._next_id += 1
        return tuple(games)

    def _opening(self, pair: Pair, number: int) -> str:
        """Return opening ``number`` of a pair."""
        block, row = divmod(number, _OPENINGS_AT_ONCE)
        if (pair, block) not in self._blocks:
            rng = np.random.default_rng((self._plan.seed, _hash(pair), block))
            self._blocks[pair, block] = self._plan.openings(_OPENINGS_AT_ONCE, rng)
        return self._blocks[pair, block][row]


def _seatings(pair: Pair) -> tuple[Seating, Seating]:
    """Return both seatings of a pair; which one comes first is pseudorandom but fixed."""
    one, other = pair
    return (pair, (other, one)) if _hash(pair) % 2 else ((other, one), pair)


def _hash(pair: Pair) -> int:
    return zlib.crc32("\n".join(pair).encode())
