"""``ReplayShard``: one part of a distributed replay, a ring of transitions with priorities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from connectfour.apex.replay.sum_tree import Float64s, SumTree
from connectfour.apex.spans import Spans

Fields = dict[str, NDArray[Any]]
"""Arrays by name that all begin with the axis (N,), one row per transition."""

_SMALLEST_PRIORITY = 1e-6


@dataclass(frozen=True)
class Sampled:
    """N transitions drawn from a shard.

    Attributes:
        columns: the transitions.
        ids: number of each transition in the order of arrival, (N,) int64.
        probability: with which the shard draws each of them, (N,) float64.
        held: number of transitions in the shard.
        total: sum of their priorities; the shard's share of a batch is proportional to it.
        spans: how the shard has spent its time since it was last asked for a sample.
    """

    columns: Fields
    ids: NDArray[np.int64]
    probability: Float64s
    held: int
    total: float
    spans: Spans

    def __len__(self) -> int:
        """Return N."""
        return len(self.ids)


class ReplayShard:
    """Keeps the newest ``capacity`` transitions and draws them by priority (Schaul et al. 2016).

    The probability of a transition is proportional to ``(|TD error| + 1e-6) ** alpha``. The first batch determines
    which columns there are; all memory is allocated then.

    A single priority that is not finite would make every later draw return the same transition, so such a TD error is
    refused where it arrives.
    """

    def __init__(self, capacity: int, alpha: float, seed: int | Sequence[int] = 0) -> None:
        """Build an empty shard."""
        self._alpha = alpha
        self._rng = np.random.default_rng(seed)
        self._tree = SumTree(capacity)
        self._columns: Fields = {}
        self._ids = np.full(capacity, -1, np.int64)
        self._added = 0
        self.spans = Spans()

    @property
    def capacity(self) -> int:
        """The most transitions that fit."""
        return self._tree.capacity

    def __len__(self) -> int:
        """Return the number of transitions held."""
        return min(self._added, self.capacity)

    def add(self, columns: Fields, td_errors: NDArray[np.floating]) -> int:
        """Add N transitions with the TD errors (N,) that set their priorities; the oldest make room.

        Returns:
            How many were refused because their TD error is not finite.
        """
        with self.spans.measure("add"):
            finite = np.isfinite(td_errors)
            refused = len(td_errors) - int(finite.sum())
            if refused:
                columns, td_errors = {name: array[finite] for name, array in columns.items()}, td_errors[finite]
            newest = slice(max(0, len(td_errors) - self.capacity), None)
            columns, td_errors = {name: array[newest] for name, array in columns.items()}, td_errors[newest]
            if not self._columns:
                self._columns = {
                    name: np.zeros((self.capacity, *array.shape[1:]), array.dtype) for name, array in columns.items()
                }
            count, start = len(td_errors), self._added % self.capacity
            until_end = min(count, self.capacity - start)
            # The ring is written in at most two contiguous pieces.
            for source, target in (
                (slice(0, until_end), slice(start, start + until_end)),
                (slice(until_end, count), slice(0, count - until_end)),
            ):
                for name, array in columns.items():
                    self._columns[name][target] = array[source]
                self._ids[target] = self._added + np.arange(source.start, source.stop)
                if source.stop > source.start:
                    self._tree[np.arange(target.start, target.stop)] = self._weight(td_errors[source])
            self._added += count
        return refused

    def sample(self, count: int) -> Sampled:
        """Draw ``count`` transitions with replacement; an empty shard returns none."""
        with self.spans.measure("sample"):
            rows = self._tree.draw(count, self._rng) if count and self._added else np.zeros(0, np.int64)
            probability = self._tree[rows] / max(self._tree.total, np.finfo(np.float64).tiny)
            columns = {name: array[rows] for name, array in self._columns.items()}
        return Sampled(columns, self._ids[rows], probability, len(self), self._tree.total, self.spans.take())

    def update_priorities(self, ids: NDArray[np.int64], td_errors: NDArray[np.floating]) -> int:
        """Set the priorities of transitions by their new TD errors; those that have left the ring are skipped.

        Returns:
            How many TD errors were refused because they are not finite; these transitions keep their priorities.
        """
        with self.spans.measure("update priorities"):
            rows, finite = ids % self.capacity, np.isfinite(td_errors)
            meant = finite & (self._ids[rows] == ids)
            self._tree[rows[meant]] = self._weight(td_errors[meant])
        return len(ids) - int(finite.sum())

    def _weight(self, td_errors: NDArray[np.floating]) -> Float64s:
        return (np.abs(td_errors.astype(np.float64)) + _SMALLEST_PRIORITY) ** self._alpha

    def describe(self) -> dict[str, float]:
        """Return the number of transitions held, all those ever added, and the size of the arrays in bytes."""
        arrays = [*self._columns.values(), self._ids, self._tree[:]]
        return {"size": len(self), "added": self._added, "bytes": sum(array.nbytes for array in arrays)}

    def get_state(self) -> Fields:
        """Return the contents, the oldest transition first, as arrays by name."""
        order = (np.arange(len(self)) + max(0, self._added - self.capacity)) % self.capacity
        state = {f"column.{name}": array[order] for name, array in self._columns.items()}
        return {**state, "weight": self._tree[order]}

    def clear(self) -> None:
        """Drop all transitions."""
        self._columns, self._added = {}, 0
        self._ids[:] = -1
        self._tree = SumTree(self.capacity)

    def set_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Replace the contents by what ``get_state`` returned; a smaller shard keeps the newest transitions."""
        weights = np.nan_to_num(state["weight"][-self.capacity :], nan=0.0, posinf=0.0)
        columns = {name.removeprefix("column."): array for name, array in state.items() if name != "weight"}
        self.clear()
        if len(weights):
            self.add({name: array[-self.capacity :] for name, array in columns.items()}, np.zeros(len(weights)))
            self._tree[np.arange(len(weights))] = weights
