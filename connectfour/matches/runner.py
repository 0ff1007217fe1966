"""Batches of games as Ray tasks: a bounded number in flight, deadlines, and what went wrong told apart.

A player's faults lose it the game. Faults of the machines (a worker or a node that is lost, an exception outside of the
players' code) count for nobody: the games are played again under the same ids, ``retries`` times at most.

A batch that a player hangs or kills is split, and its games are played again one by one, so that only the game in which
it happens is lost.

What is not wanted any more is forgotten, never cancelled: ``ray.cancel`` of a task that is just coming to its end takes
the driver down (Ray 2.60, "Tried to complete task that was not pending"; https://github.com/ray-project/ray/pull/54798
tells of the same race).
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import ray
from ray.exceptions import RayError

from connectfour.errors import RankingError
from connectfour.matches.records import GameRecord
from connectfour.matches.sandbox import Batch, OnDemand, Sandbox, SandboxError
from connectfour.players.packed import PackedPlayer
from connectfour.ray_session import cluster_size

_START_SECONDS = 180.0
_MOST_FAILED_BATCHES = 5

_sandbox = Sandbox()


_Packed = tuple[str, list[Any]]
"""A player's hash, and the reference to it (in a list: Ray would fetch it with each task)."""


@ray.remote(max_retries=0, num_cpus=1)  # type: ignore[untyped-decorator]  # Ray's
def _play(batch: Batch, packed: dict[str, _Packed], deadline: float) -> list[GameRecord] | SandboxError:
    """Play a batch in this worker's sandbox."""
    on_demand = {name: OnDemand(sha256, partial(ray.get, *held)) for name, (sha256, held) in packed.items()}
    try:
        return _sandbox.play(batch, on_demand, deadline)
    except SandboxError as error:
        return error


@dataclass(frozen=True)
class _Attempt:
    """A batch for the n-th time."""

    batch: Batch
    number: int = 1

    @property
    def seed(self) -> tuple[int, ...]:
        """Of all chance in it: another attempt has another."""
        return (*self.batch.seed, self.number)


class MatchRunner:
    """Plays batches on whatever Ray is connected to.

    Attributes:
        lost: faults of the machines so far, by kind.
    """

    def __init__(self, players: Mapping[str, PackedPlayer], *, deadline: float, retries: int = 3) -> None:
        """Put ``players`` where all nodes find them.

        Args:
            players: by name.
            deadline: seconds for a batch, not counting the time to load players.
            retries: how often games are played again after faults of the machines.
        """
        self._packed: dict[str, _Packed] = {
            name: (player.sha256, [ray.put(player)]) for name, player in players.items()
        }
        self._deadline, self._retries = deadline, retries
        self._waiting: deque[_Attempt] = deque()
        self._flight: dict[Any, tuple[_Attempt, float]] = {}
        self._failed_in_a_row = 0
        self._withdrawn: set[str] = set()
        self.lost: Counter[str] = Counter()

    @property
    def capacity(self) -> int:
        """How many batches keep all cores busy while results are taken in; more would be drawn knowing less."""
        return 1 + max(1, int(cluster_size()[1]))

    @property
    def pending(self) -> list[Batch]:
        """What is not played to the end."""
        return [attempt.batch for attempt in self._waiting] + [attempt.batch for attempt, _ in self._flight.values()]

    def submit(self, batch: Batch) -> None:
        """Have a batch played."""
        self._waiting.append(_Attempt(batch))
        self._launch()

    def withdraw(self, name: str) -> None:
        """Forget what player ``name`` was to play, and what it would have to play again."""
        self._withdrawn.add(name)
        self._waiting = deque(attempt for attempt in self._waiting if self._wanted(attempt))

    def _wanted(self, attempt: _Attempt) -> bool:
        return self._withdrawn.isdisjoint(attempt.batch.names)

    def collect(self, timeout: float) -> list[GameRecord]:
        """Return the games of a batch that came to an end within ``timeout`` seconds, or none.

        Raises:
            RankingError: several batches in a row could not be played, whatever the number of attempts.
        """
        self._launch()
        if not self._flight:
            return []
        done, _ = ray.wait(list(self._flight), num_returns=1, timeout=timeout)
        records = []
        for reference in done:
            attempt, _ = self._flight.pop(reference)
            records += self._result(reference, attempt)
        now = time.monotonic()
        for reference, (attempt, latest) in list(self._flight.items()):
            if now > latest:  # the supervisor itself is stuck
                del self._flight[reference]
                records += self._again(attempt, "lost worker", "no answer from the worker")
        self._launch()
        return records

    def stop(self) -> None:
        """Give up what is in flight; workers end it by the deadline, and nobody hears of it."""
        self._flight.clear()
        self._waiting.clear()

    def _launch(self) -> None:
        while self._waiting and len(self._flight) < self.capacity:
            attempt = self._waiting.popleft()
            packed = {name: self._packed[name] for name in attempt.batch.names}
            batch = replace(attempt.batch, seed=attempt.seed)
            reference = _play.remote(batch, packed, self._deadline)
            # Batches that find no free core wait for those before them.
            turns = 1 + len(self._flight)
            self._flight[reference] = attempt, time.monotonic() + turns * (self._deadline + _START_SECONDS)

    def _result(self, reference: Any, attempt: _Attempt) -> list[GameRecord]:
        try:
            found = ray.get(reference)
        except RayError as error:  # WorkerCrashedError, NodeDiedError, TaskCancelledError, ObjectLostError, ...
            return self._again(attempt, "lost worker", type(error).__name__)
        if isinstance(found, list):
            self._failed_in_a_row = 0
            return self._replayed(attempt, found)
        if found.kind == "infrastructure":
            return self._again(attempt, "exception", found.detail)
        if len(attempt.batch.games) > 1:
            if not self._wanted(attempt):
                return []
            self.lost[f"split after {found.kind}"] += 1
            self._waiting.extendleft(
                _Attempt(replace(attempt.batch, games=(game,), seed=(*attempt.batch.seed, game.id)))
                for game in reversed(attempt.batch.games)
            )
            return []
        (game,) = attempt.batch.games
        result = -1 if found.mover == game.first else 1
        seconds = self._deadline if found.kind == "timeout" else 0.0
        return [GameRecord.of(game, found.kind, result, seconds=seconds, seed=attempt.seed, detail=found.detail)]

    def _replayed(self, attempt: _Attempt, records: Sequence[GameRecord]) -> list[GameRecord]:
        """Return the games that were played, and have those played again that the rules could not play."""
        failed = {record.id: record for record in records if record.termination == "infrastructure"}
        played = [replace(record, seed=attempt.seed) for record in records if record.id not in failed]
        if failed:
            games = tuple(game for game in attempt.batch.games if game.id in failed)
            detail = next(iter(failed.values())).detail
            played += self._again(replace(attempt, batch=replace(attempt.batch, games=games)), "exception", detail)
        return played

    def _again(self, attempt: _Attempt, kind: str, detail: str) -> list[GameRecord]:
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
                f"games cannot be played here ({kind}: {detail}): see that all nodes have this package and its "
                "dependencies"
            )
        return [GameRecord.of(game, "infrastructure", None, detail=f"{kind}: {detail}") for game in games]
