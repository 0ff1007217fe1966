"""``ReplayWriter``: sends transitions to the shards, never faster than they take them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import ray
from numpy.typing import NDArray
from ray.exceptions import ObjectLostError, RayActorError

from connectfour.apex.replay.shard import Fields
from connectfour.apex.spans import Spans


class ReplayWriter:
    """Sends each batch to the next shard in turn that is free.

    A shard is free while fewer than ``in_flight`` batches are under way to it, so neither its queue nor the actor's
    memory grows. A slow shard gets fewer batches; ``write`` waits only if every shard has fallen behind.
    """

    def __init__(self, first_shard: int = 0, *, in_flight: int = 2) -> None:
        """Begin with shard ``first_shard``; actors that begin with different ones spread their load."""
        self._next = first_shard
        self._limit = in_flight
        self._under_way: dict[ray.ObjectRef, tuple[int, int]] = {}
        self._lost = self._refused = 0

    def write(self, shards: Sequence[Any], columns: Fields, td_errors: NDArray[np.floating], spans: Spans) -> None:
        """Send N transitions to a shard, and measure how long that has to wait.

        Args:
            shards: handles of the actors that hold the replay.
            columns: the transitions.
            td_errors: their TD errors (N,).
            spans: measures the wait.
        """
        self._settle(ray.wait(list(self._under_way), num_returns=len(self._under_way), timeout=0)[0])
        with spans.measure("wait for replay"):
            while (number := self._free(len(shards))) is None:
                self._settle(ray.wait(list(self._under_way))[0])
        self._next = number + 1
        self._under_way[shards[number].add.remote(columns, td_errors)] = (number, len(td_errors))

    def _free(self, shards: int) -> int | None:
        """Return the next free shard in turn; None if there is none."""
        under_way = [number for number, _ in self._under_way.values()]
        turns = ((self._next + turn) % shards for turn in range(shards))
        return next((number for number in turns if under_way.count(number) < self._limit), None)

    def flush(self) -> None:
        """Wait until everything sent has arrived, or is lost."""
        while self._under_way:
            self._settle(ray.wait(list(self._under_way))[0])

    def take_lost(self) -> int:
        """Return the transitions lost since the last call: the shards they were sent to died."""
        lost, self._lost = self._lost, 0
        return lost

    def take_refused(self) -> int:
        """Return the transitions that shards refused since the last call: their TD errors are not finite."""
        refused, self._refused = self._refused, 0
        return refused

    def _settle(self, done: Sequence[ray.ObjectRef]) -> None:
        for reference in done:
            _, count = self._under_way.pop(reference)
            try:
                self._refused += ray.get(reference)
            except (RayActorError, ObjectLostError):
                self._lost += count
