"""Plays batches of games as Ray tasks, with a bounded number in flight, deadlines and retries.

A player loses a game by its own faults, and only its own code uses up its time. Machine faults (a lost worker or node,
an exception outside the players' code) are charged to nobody: the games are retried under the same ids, at most
``retries`` times.

If a player uses up its time or kills a batch, its games are retried one by one, so that only the game with the fault
is lost.

Unwanted tasks are forgotten, never canceled: in Ray 2.60, ``ray.cancel`` on a task that is about to finish crashes the
driver ("Tried to complete task that was not pending"; https://github.com/ray-project/ray/pull/54798 describes the
same race).
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import ray
from ray.exceptions import RayError

from connectfour.cluster.offer import Offer, Waiting, cluster_offer, shortage
from connectfour.cluster.traces import describe
from connectfour.errors import RankingError
from connectfour.matches.records import Fault, GameRecord
from connectfour.matches.sandbox import Batch, OnDemand, Sandbox, SandboxError, longest_batch
from connectfour.players.encoded import EncodedPlayer
from connectfour.settings.resources import MatchDemand, actor_options
from connectfour.system.need import count_of

_FETCH_SECONDS = 60.0
_MOST_FAILED_BATCHES = 5
_SECONDS_BEFORE_A_NOTICE = 30.0
_WHO, _SETTING = "batch of games", "--resources"
_DEMAND = MatchDemand()

_sandbox = Sandbox()


def _workers(demand: MatchDemand) -> int:
    """Return how many batches are played at once: by default, one for each core."""
    return max(1, cluster_offer().copies(demand.amounts))


def check_workers(demand: MatchDemand = _DEMAND) -> str:
    """Return where games are played: the nodes, the workers that play at once, and the cores.

    Raises:
        ClusterError: no node can play a batch that asks for ``demand``.
    """
    offer = cluster_offer()
    offer.check([demand.need(_WHO, _SETTING)])
    words = (len(offer.nodes), "node"), (_workers(demand), "worker"), (offer.total("CPU"), "core")
    return ", ".join(count_of(count, word) for count, word in words)


_Stored = tuple[str, list[Any]]
"""A player's hash, and its reference in Ray's store; a bare reference would be fetched with each task."""


@ray.remote(max_retries=0)  # type: ignore[untyped-decorator]  # Ray's
def _play(batch: Batch, encoded: dict[str, _Stored], deadline: float) -> list[GameRecord] | SandboxError:
    """Play a batch in this worker's sandbox."""
    on_demand = {name: OnDemand(sha256, partial(ray.get, *held)) for name, (sha256, held) in encoded.items()}
    try:
        return _sandbox.play(batch, on_demand, deadline)
    except SandboxError as error:
        return error


@dataclass(frozen=True)
class _Attempt:
    """The n-th attempt to play a batch, which was handed to Ray at the time ``began``."""

    batch: Batch
    number: int = 1
    began: float = 0.0

    @property
    def seed(self) -> tuple[int, ...]:
        """Random seed; each attempt has its own."""
        return (*self.batch.seed, self.number)


class MatchRunner:
    """Plays batches on the machine or cluster that Ray is connected to.

    Attributes:
        lost: number of games retried after machine faults, by kind.
    """

    def __init__(
        self,
        players: Mapping[str, EncodedPlayer],
        *,
        deadline: float,
        retries: int = 3,
        demand: MatchDemand = _DEMAND,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Put ``players`` into Ray's store.

        Args:
            players: by name.
            deadline: seconds that each player may use in a batch, not counting the time to build it.
            retries: how often games are retried after machine faults.
            demand: what a batch asks Ray for.
            say: gets a sentence every minute while no batch ends and the cluster is busy.
        """
        self._encoded: dict[str, _Stored] = {
            name: (player.sha256, [ray.put(player)]) for name, player in players.items()
        }
        self._deadline, self._retries, self._demand = deadline, retries, demand
        self._options = actor_options(demand.amounts)
        self._waiting_for_room = Waiting(say, first=_SECONDS_BEFORE_A_NOTICE)
        self._waiting: deque[_Attempt] = deque()
        self._flight: dict[Any, tuple[_Attempt, float]] = {}
        self._failed_in_a_row = 0
        self._withdrawn: set[str] = set()
        self.lost: Counter[str] = Counter()

    @property
    def capacity(self) -> int:
        """Number of batches that keep all cores busy; any more would be scheduled on stale ratings."""
        return 1 + _workers(self._demand)

    @property
    def pending(self) -> list[Batch]:
        """The batches that have not ended."""
        return [attempt.batch for attempt in self._waiting] + [attempt.batch for attempt, _ in self._flight.values()]

    def submit(self, batch: Batch) -> None:
        """Queue a batch."""
        self._waiting.append(_Attempt(batch))
        self._launch()

    def withdraw(self, name: str) -> None:
        """Drop the queued batches of player ``name``, and do not retry those in flight."""
        self._withdrawn.add(name)
        self._waiting = deque(attempt for attempt in self._waiting if self._wanted(attempt))

    def _wanted(self, attempt: _Attempt) -> bool:
        return self._withdrawn.isdisjoint(attempt.batch.names)

    def collect(self, timeout: float) -> list[GameRecord]:
        """Wait up to ``timeout`` seconds for a batch to end, and return its games.

        Raises:
            RankingError: several batches in a row could not be played in any attempt.
        """
        self._launch()
        if not self._flight:
            return []
        done, _ = ray.wait(list(self._flight), num_returns=1, timeout=timeout)
        if done or self._has_room():
            self._waiting_for_room.over()
        else:
            self._waiting_for_room.go_on(self._busy)
        records = []
        for reference in done:
            attempt, _ = self._flight.pop(reference)
            records += self._result(reference, attempt)
        now = time.monotonic()
        for reference, (attempt, latest) in list(self._flight.items()):
            if now > latest:  # the supervisor itself is stuck
                del self._flight[reference]
                records += self._retry(attempt, "lost worker", "no answer from the worker")
        self._launch()
        return records

    def _has_room(self) -> bool:
        """Return whether the cluster could begin another batch at once."""
        return Offer((ray.available_resources(),)).copies(self._demand.amounts) > 0

    def _busy(self) -> str:
        free = shortage([self._demand.need(_WHO, _SETTING)])
        return f"No batch of games has ended for a while, and the cluster is busy, perhaps with other work: {free}."

    def stop(self) -> None:
        """Forget all batches; workers play those in flight to their end, or until a player has used up its time."""
        self._flight.clear()
        self._waiting.clear()

    def _launch(self) -> None:
        while self._waiting and len(self._flight) < self.capacity:
            attempt = replace(self._waiting.popleft(), began=time.time())
            encoded = {name: self._encoded[name] for name in attempt.batch.names}
            batch = replace(attempt.batch, seed=attempt.seed)
            reference = _play.options(**self._options).remote(batch, encoded, self._deadline)
            # Batches that find no free core wait for those before them.
            turns = 1 + len(self._flight)
            latest = time.monotonic() + turns * (longest_batch(self._deadline) + _FETCH_SECONDS)
            self._flight[reference] = attempt, latest

    def _result(self, reference: Any, attempt: _Attempt) -> list[GameRecord]:
        """Return the games of a finished task, and queue those that have to be retried."""
        try:
            found = ray.get(reference)
        except RayError as error:  # WorkerCrashedError, NodeDiedError, TaskCancelledError, ObjectLostError, ...
            last = attempt.number > self._retries  # to find out what a lost process printed takes a moment
            detail = describe(error, attempt.began) if last else type(error).__name__
            return self._retry(attempt, "lost worker", detail)
        if isinstance(found, list):
            self._failed_in_a_row = 0
            return self._retry_unplayed(attempt, found)
        if found.mover is None:  # no player's code was running
            return self._retry(attempt, "exception", found.detail)
        if len(attempt.batch.games) > 1:
            self._retry_one_by_one(attempt, found)
            return []
        (game,) = attempt.batch.games
        seconds = self._deadline if found.kind == "timeout" else 0.0
        fault = Fault(found.kind, found.detail)
        return [GameRecord.lost(game, found.mover, fault, seconds=seconds, seed=attempt.seed)]

    def _retry_one_by_one(self, attempt: _Attempt, error: SandboxError) -> None:
        if not self._wanted(attempt):
            return
        self.lost[f"split after {error.kind}"] += 1
        self._waiting.extendleft(
            _Attempt(replace(attempt.batch, games=(game,), seed=(*attempt.batch.seed, game.id)))
            for game in reversed(attempt.batch.games)
        )

    def _retry_unplayed(self, attempt: _Attempt, records: Sequence[GameRecord]) -> list[GameRecord]:
        """Return the games that were played, and retry those that could not be played."""
        failed = {record.id: record for record in records if record.termination == "infrastructure"}
        played = [replace(record, seed=attempt.seed) for record in records if record.id not in failed]
        if failed:
            games = tuple(game for game in attempt.batch.games if game.id in failed)
            detail = next(iter(failed.values())).detail
            played += self._retry(replace(attempt, batch=replace(attempt.batch, games=games)), "exception", detail)
        return played

    def _retry(self, attempt: _Attempt, kind: str, detail: str) -> list[GameRecord]:
        """Queue a batch again after a machine fault; after the last attempt, return games that do not count.

        Raises:
            RankingError: several batches in a row have failed in all attempts.
        """
        if not self._wanted(attempt):
            return []
        games = attempt.batch.games
        self.lost[kind] += len(games)
        if attempt.number <= self._retries:
            self._waiting.append(replace(attempt, number=attempt.number + 1))
            return []
        self._failed_in_a_row += 1
        if self._failed_in_a_row >= _MOST_FAILED_BATCHES:
            raise RankingError(
                f"games cannot be played here ({kind}: {detail}): check that every node has what this package imports"
            )
        return [GameRecord.of(game, "infrastructure", None, detail=f"{kind}: {detail}") for game in games]
