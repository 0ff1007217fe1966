"""Plays a ranking: pairs are drawn, batches run, games are logged, and ratings are read off the log.

Nothing is decided from anything but the log, so a ranking that was killed goes on where it was.
"""

from __future__ import annotations

import time
import zlib
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from connectfour.games.connect_four.notation import format_moves
from connectfour.games.connect_four.openings import random_opening_moves
from connectfour.matches.records import GameRecord, GameSpec
from connectfour.matches.sandbox import Batch, Rules
from connectfour.ranking.leaderboard import posterior_of
from connectfour.ranking.matchlog import Matches, MatchLog
from connectfour.ranking.schedule import Pair, Pairing, next_round
from connectfour.ranking.trueskill import JointPosterior

if TYPE_CHECKING:
    from connectfour.matches.runner import MatchRunner

_LARGEST_BATCH = 256
_COLLECT_SECONDS = 0.5
_OPENINGS_AT_ONCE = 32
_FAULTS_TO_SET_ASIDE = 3
# A ranking until a given sigma gives up when so many games a player have not lowered it to this share.
_GAMES_IN_VAIN = 300
_NOTICEABLE = 0.99


@dataclass(frozen=True)
class Limits:
    """When a ranking ends: at the first of these that is reached.

    Attributes:
        matches: so many games are in the log.
        sigma: nobody who plays is less certain than this, in TrueSkill units.
        settled: the order has not changed over so many games.
    """

    matches: int | None = None
    sigma: float | None = None
    settled: int | None = None


@dataclass(frozen=True)
class Plan:
    """How a ranking is played.

    Attributes:
        rules: the game.
        pairing: who meets whom.
        opening_plies: random plies before each game; the two games of a pair of seats share them.
        batch_games: games in a batch; None leaves it to the number of games and players.
        seed: of all chance.
    """

    rules: Rules
    pairing: Pairing = "thompson"
    opening_plies: int = 4
    batch_games: int | None = None
    seed: int = 0


@dataclass(frozen=True)
class Progress:
    """Where a ranking is.

    Attributes:
        matches: what the log says.
        posterior: the ratings, perhaps a few games old.
        pending: games under way.
        lost: faults of the machines so far.
        games_per_second: since it was started.
        rating_seconds: spent on ratings, pairing and the log since it was started.
        seconds: since it was started.
        seconds_left: until the limit; None where it gives no estimate.
    """

    matches: Matches
    posterior: JointPosterior
    pending: int
    lost: Counter[str]
    games_per_second: float
    rating_seconds: float
    seconds: float
    seconds_left: float | None


class Tournament:
    """One ranking, from its log on."""

    def __init__(self, names: Iterable[str], log: MatchLog, matches: Matches, runner: MatchRunner, plan: Plan) -> None:
        """Let ``names``, all of whom are in the log, play; ``log`` is open for writing and says ``matches``."""
        self._names = sorted(names)
        self._log, self._matches, self._runner, self._plan = log, matches, runner, plan
        self._next_id = matches.next_id
        self._rng = np.random.default_rng((plan.seed, self._next_id))
        self._round: deque[Pair] = deque()
        self._posterior = posterior_of(matches)
        self._games_at_start = len(matches.games)
        self._firsts = Counter((game.first, game.second) for game in matches.games)
        self._rating_seconds = 0.0
        self._order: tuple[list[str], int] | None = None
        self._best_sigma = (float("inf"), self._games_at_start)
        self.stalled = False
        self.interrupted = False
        for name in self._playing:
            self._consider(name)

    def interrupt(self) -> None:
        """End after the batches that are in flight."""
        self.interrupted = True

    def run(self, limits: Limits, show: Callable[[Progress], None]) -> Progress:
        """Play until a limit is reached, or ``interrupt`` was called; ``show`` is told about every batch.

        Raises:
            RankingError: games cannot be played.
        """
        start = time.monotonic()
        try:
            while True:
                ended = self.interrupted or self._reached(limits)
                if not ended:
                    self._submit(limits)
                if not self._runner.pending or (ended and not self.interrupted):
                    return self._progress(limits, start)
                records = self._runner.collect(_COLLECT_SECONDS)
                if records:
                    self._take_in(records)
                show(self._progress(limits, start))
        finally:
            self._runner.stop()

    @property
    def _playing(self) -> list[str]:
        return [name for name in self._names if name not in self._matches.set_aside]

    def _reached(self, limits: Limits) -> bool:
        games = len(self._matches.games)
        if len(self._playing) < 2 or (limits.matches is not None and games >= limits.matches):
            return True
        if limits.sigma is not None:
            self._rate()
            index = [self._posterior.players.index(name) for name in self._playing]
            sigma = float(self._posterior.sigma[index].max())
            if sigma < _NOTICEABLE * self._best_sigma[0]:
                self._best_sigma = sigma, games
            # Whoever always loses, or only repeats games, is never known better.
            self.stalled = games - self._best_sigma[1] > _GAMES_IN_VAIN * len(self._playing)
            if sigma <= limits.sigma or self.stalled:
                return True
        return limits.settled is not None and games - self._ordered_since(limits.settled) >= limits.settled

    def _ordered_since(self, games: int) -> int:
        """Return after how many games in the log the order became what it is, at the earliest ``games`` ago."""
        self._rate()
        order, played = self._posterior.order, len(self._matches.games)
        if self._order is None:  # started again: the log knows, in steps of a tenth
            self._order = [], 0
            for number in range(max(0, played - games), played, max(1, games // 10)):
                earlier = posterior_of(self._matches.upto(number), self._posterior).order
                if self._order[0] != earlier:
                    self._order = earlier, number
        if self._order[0] != order:
            self._order = order, played
        return self._order[1]

    def _submit(self, limits: Limits) -> None:
        """Keep the runner busy."""
        while len(self._runner.pending) < self._runner.capacity:
            under_way = sum(len(batch.games) for batch in self._runner.pending)
            room = _LARGEST_BATCH
            if limits.matches is not None:
                room = limits.matches - len(self._matches.games) - under_way
            if room <= 0 or len(self._playing) < 2:
                return
            self._runner.submit(self._batch(min(room, self._batch_games(limits))))

    def _batch_games(self, limits: Limits) -> int:
        if self._plan.batch_games:
            return self._plan.batch_games
        if limits.matches is None:
            return _LARGEST_BATCH // 16
        # So many that everyone meets about ten opponents, and even, for both seats.
        wanted = limits.matches // (5 * len(self._playing))
        return 1 if wanted < 2 else min(_LARGEST_BATCH, wanted // 2 * 2)

    def _batch(self, count: int) -> Batch:
        """Draw who meets next, and ``count`` games between them."""
        playing = set(self._playing)
        self._round = deque(pair for pair in self._round if playing.issuperset(pair))
        if not self._round:
            self._rate()
            in_flight: Counter[Pair] = Counter()
            for batch in self._runner.pending:
                in_flight[batch.names[0], batch.names[1]] += len(batch.games)
            played: Counter[Pair] = Counter()
            for (first, second), games in self._firsts.items():
                played[min(first, second), max(first, second)] += games
            start = time.monotonic()
            pairs = next_round(self._plan.pairing, self._playing, self._posterior, played, in_flight, self._rng)
            self._rating_seconds += time.monotonic() - start
            self._round.extend(pairs)
        pair = self._round.popleft()
        drawn = []
        for _ in range(count):
            # The seat that this pair has had less often; both seats get the same openings.
            first, second = min(_seats(pair), key=lambda seats: self._firsts[seats])
            opening = _opening(self._plan, pair, self._firsts[first, second])
            self._firsts[first, second] += 1
            drawn.append(GameSpec(self._next_id, first, second, opening))
            self._next_id += 1
        return Batch(pair, tuple(drawn), self._plan.rules, (self._plan.seed, drawn[0].id))

    def _rate(self) -> None:
        start = time.monotonic()
        self._posterior = posterior_of(self._matches, self._posterior)
        self._rating_seconds += time.monotonic() - start

    def _take_in(self, records: list[GameRecord]) -> None:
        start = time.monotonic()
        self._log.append(records)
        for record in records:
            self._matches.add(record)
        self._rating_seconds += time.monotonic() - start
        for name in {record.at_fault for record in records if record.at_fault}:
            self._consider(name)

    def _consider(self, name: str) -> None:
        """Set a player aside whose latest games mostly ended by its faults."""
        faults, games = self._matches.recent_faults(name)
        if name in self._matches.set_aside or faults < _FAULTS_TO_SET_ASIDE or 2 * faults <= games:
            return
        kinds = ", ".join(f"{count} {kind}" for kind, count in self._matches.faults[name].most_common())
        reason = f"{faults} of its last {games} games ended by its faults (in all: {kinds})"
        self._log.append([(name, reason)])
        self._matches.set_aside[name] = reason
        self._runner.withdraw(name)

    def _progress(self, limits: Limits, start: float) -> Progress:
        elapsed = time.monotonic() - start
        speed = (len(self._matches.games) - self._games_at_start) / elapsed if elapsed else 0.0
        left = (limits.matches - len(self._matches.games)) / speed if limits.matches and speed else None
        return Progress(
            self._matches,
            self._posterior,
            sum(len(batch.games) for batch in self._runner.pending),
            self._runner.lost,
            speed,
            self._rating_seconds,
            elapsed,
            left,
        )


def _seats(pair: Pair) -> tuple[Pair, Pair]:
    """Return both ways to seat a pair; which comes first is by chance, but always the same."""
    one, other = pair
    return (pair, (other, one)) if _number(pair) % 2 else ((other, one), pair)


def _number(pair: Pair) -> int:
    return zlib.crc32("\n".join(pair).encode())


def _opening(plan: Plan, pair: Pair, number: int) -> str:
    """Return the n-th opening of a pair, the same whenever it is played."""
    block, row = divmod(number, _OPENINGS_AT_ONCE)
    return _openings(plan.opening_plies, plan.seed, pair, block)[row]


@lru_cache(maxsize=1024)
def _openings(plies: int, seed: int, pair: Pair, block: int) -> list[str]:
    rng = np.random.default_rng((seed, _number(pair), block))
    return [format_moves(columns) for columns in random_opening_moves(_OPENINGS_AT_ONCE, plies, rng)]
