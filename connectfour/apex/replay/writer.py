"""``ReplayWriter``: sends transitions to the shards, never faster than they take them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import ray
from numpy.typing import NDArray
from ray.exceptions import RayActorError

from connectfour.apex.replay.shard import Fields
from connectfour.apex.spans import Spans


class ReplayWriter:
    """Sends each batch to the next shard in turn.

    At most ``in_flight`` batches per shard are under way. When a shard falls behind, ``write`` waits for it, so neither
    the actor's memory nor the shard's queue grows.
    """

    def __init__(self, first_shard: int = 0, *, in_flight: int = 2) -> None:
        """Begin with shard ``first_shard``; actors that begin with different ones spread their load."""
        self._next = first_shard
        self._limit = in_flight
        self._under_way: dict[ray.ObjectRef, int] = {}
        self._lost = 0

    def write(self, shards: Sequence[Any], columns: Fields, td_errors: NDArray[np.floating], spans: Spans) -> None:
        """Send N transitions to a shard, and measure how long that has to wait.

        Args:
            shards: handles of the actors that hold the replay.
            columns: the transitions.
            td_errors: their TD errors (N,).
            spans: measures the wait.
        """
        with spans.measure("wait for replay"):
            while len(self._under_way) >= self._limit * len(shards):
                self._settle(ray.wait(list(self._under_way))[0])
        shard = shards[self._next % len(shards)]
        self._next += 1
        self._under_way[shard.add.remote(columns, td_errors)] = len(td_errors)
        self._settle(ray.wait(list(self._under_way), num_returns=len(self._under_way), timeout=0)[0])

    def flush(self) -> None:
        """Wait until everything sent has arrived, or is lost."""
        while self._under_way:
            self._settle(ray.wait(list(self._under_way))[0])

    def take_lost(self) -> int:
        """Return the transitions lost since the last call: the shards they were sent to died."""
        lost, self._lost = self._lost, 0
        return lost

    def _settle(self, done: Sequence[ray.ObjectRef]) -> None:
        for reference in done:
            count = self._under_way.pop(reference)
            try:
                ray.get(reference)
            except RayActorError:
                self._lost += count
