"""Plays a ranking: draws pairs, runs batches, logs games, and reads the ratings off the log.

Every decision follows from the log alone, so a ranking that was killed resumes where it was.
"""

from __future__ import annotations

import math
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from connectfour.match_log.lines import Ended, SetAside
from connectfour.match_log.log import MatchLog
from connectfour.matches.records import GameRecord
from connectfour.matches.sandbox import Batch
from connectfour.rating.posterior import JointPosterior
from connectfour.standings.leaderboard import posterior_of
from connectfour.tournament.fixtures import Fixtures
from connectfour.tournament.pairing import Pair, next_round
from connectfour.tournament.plan import Limits, Plan
from connectfour.tournament.stopping import Stopping

if TYPE_CHECKING:
    from connectfour.matches.runner import MatchRunner

_LARGEST_BATCH = 256
_COLLECT_SECONDS = 0.5
_FAULTS_TO_SET_ASIDE = 3


@dataclass(frozen=True)
class Progress:
    """The state of a ranking.

    Attributes:
        log: what was played so far.
        posterior: the ratings, perhaps a few games old.
        pending: games under way; at the end, those that count as not played.
        lost: games retried after machine faults, by kind.
        games_per_second: speed since the start.
        rating_seconds: time spent on ratings, pairing and the log.
        seconds: time since the start.
        seconds_left: estimated time until the limit of games or minutes; None without these limits.
    """

    log: MatchLog
    posterior: JointPosterior
    pending: int
    lost: Counter[str]
    games_per_second: float
    rating_seconds: float
    seconds: float
    seconds_left: float | None


class Tournament:
    """One ranking, resumed from its log.

    Attributes:
        interrupted: whether ``interrupt`` was called.
    """

    def __init__(self, names: Iterable[str], log: MatchLog, runner: MatchRunner, plan: Plan) -> None:
        """Set up a tournament of ``names``, all of them in ``log``, which is open for writing."""
        self.interrupted = False
        self._names = sorted(names)
        self._log, self._runner, self._plan = log, runner, plan
        self._rng = np.random.default_rng((plan.seed, log.next_id))
        self._fixtures = Fixtures(log, plan)
        self._round: deque[Pair] = deque()
        self._posterior = posterior_of(log)
        self._games_at_start = len(log.games)
        self._rating_seconds = 0.0
        self._seconds_before = log.seconds
        self._start = time.monotonic()
        self._began_games = False
        for name in self._playing:
            self._set_aside_if_failing(name)

    def interrupt(self) -> None:
        """End after the batches in flight."""
        self.interrupted = True

    def run(self, limits: Limits, show: Callable[[Progress], None]) -> Progress:
        """Play until a limit is reached or ``interrupt`` is called; call ``show`` after every batch.

        Raises:
            RankingError: games cannot be played.
        """
        self._start = time.monotonic()
        stopping = Stopping(limits, self._log)
        try:
            while (ended := self._end(stopping)) is None:
                if not self.interrupted:
                    self._submit(limits)
                if not self._runner.pending:
                    ended = Ended("interrupted")
                    break
                records = self._runner.collect(_COLLECT_SECONDS)
                if records:
                    self._take_in(records)
                show(self._progress(limits))
            progress = self._progress(limits)
        finally:
            self._runner.stop()
        if self._log.ended is None or self._began_games:
            self._log.append([replace(ended, seconds=math.ceil(10 * self._seconds) / 10)])
        return progress

    @property
    def _playing(self) -> list[str]:
        return [name for name in self._names if name not in self._log.set_aside]

    @property
    def _seconds(self) -> float:
        """How long games have been played, over all runs of the ranking."""
        return self._seconds_before + time.monotonic() - self._start

    def _end(self, stopping: Stopping) -> Ended | None:
        if self.interrupted:
            return None
        if stopping.needs_ratings:
            self._rate()
        return stopping.end(self._playing, self._posterior, self._seconds)

    def _submit(self, limits: Limits) -> None:
        """Keep the runner busy."""
        while len(self._runner.pending) < self._runner.capacity:
            games = self._games_in_next_batch(limits)
            if not games:
                return
            self._began_games = True
            pair = self._next_pair()
            drawn = self._fixtures.draw(pair, games)
            self._runner.submit(Batch(pair, drawn, self._plan.rules, (self._plan.seed, drawn[0].id)))

    def _games_in_next_batch(self, limits: Limits) -> int:
        """Return the size of the next batch, 0 if no games are left to play.

        By default everyone plays about ten batches, each with an even number of games to balance the seats.
        """
        if limits.matches is None:
            return self._plan.batch_games or _LARGEST_BATCH // 16
        left = limits.matches - len(self._log.games) - self._pending_games
        wanted = limits.matches // (5 * len(self._playing))
        default = 1 if wanted < 2 else min(_LARGEST_BATCH, wanted // 2 * 2)
        return min(left, self._plan.batch_games or default)

    @property
    def _pending_games(self) -> int:
        return sum(len(batch.games) for batch in self._runner.pending)

    def _next_pair(self) -> Pair:
        """Return the pair that plays next, drawing another round if this one is used up."""
        playing = set(self._playing)
        self._round = deque(pair for pair in self._round if playing.issuperset(pair))
        if not self._round:
            self._rate()
            in_flight: Counter[Pair] = Counter()
            for batch in self._runner.pending:
                in_flight[batch.names] += len(batch.games)
            with self._rating_time():
                drawn = self._fixtures.by_pair
                pairs = next_round(self._plan.pairing, self._playing, self._posterior, drawn, in_flight, self._rng)
            self._round.extend(pairs)
        return self._round.popleft()

    def _rate(self) -> None:
        with self._rating_time():
            self._posterior = posterior_of(self._log, self._posterior)

    @contextmanager
    def _rating_time(self) -> Iterator[None]:
        """Add the time that the block takes to the time spent on ratings, pairing and the log."""
        start = time.monotonic()
        yield
        self._rating_seconds += time.monotonic() - start

    def _take_in(self, records: list[GameRecord]) -> None:
        with self._rating_time():
            self._log.append(records)
        for name in {record.at_fault for record in records if record.at_fault}:
            self._set_aside_if_failing(name)

    def _set_aside_if_failing(self, name: str) -> None:
        """Set a player aside if most of its latest games ended by its faults."""
        faults, games = self._log.recent_faults(name)
        if name in self._log.set_aside or faults < _FAULTS_TO_SET_ASIDE or 2 * faults <= games:
            return
        kinds = ", ".join(f"{count} {kind}" for kind, count in self._log.faults[name].most_common())
        reason = f"{faults} of its last {games} games ended by its faults (in total: {kinds})"
        self._log.append([SetAside(name, reason)])
        self._runner.withdraw(name)

    def _progress(self, limits: Limits) -> Progress:
        elapsed = time.monotonic() - self._start
        games = len(self._log.games)
        speed = (games - self._games_at_start) / elapsed if elapsed else 0.0
        left = []
        if limits.enough_matches and speed:
            left.append((limits.enough_matches - games) / speed)
        if limits.minutes:
            left.append(60 * limits.minutes - self._seconds)
        return Progress(
            log=self._log,
            posterior=self._posterior,
            pending=self._pending_games,
            lost=self._runner.lost,
            games_per_second=speed,
            rating_seconds=self._rating_seconds,
            seconds=elapsed,
            seconds_left=max(0.0, min(left)) if left else None,
        )
