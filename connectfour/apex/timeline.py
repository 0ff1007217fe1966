"""``Timeline``: what learner, actors and shards do at the same time, and how long they wait."""

from __future__ import annotations

from collections import deque

from connectfour.apex.spans import Span, Spans

_SPANS_KEPT = 2000
WAITING = "wait"
"""Prefix of the names of activities that count as waiting."""


class Timeline:
    """Collects the spans of all processes.

    Attributes:
        latest: the latest spans by process.
    """

    def __init__(self) -> None:
        """Start without any process."""
        self.latest: dict[str, deque[Span]] = {}
        self._elapsed: dict[str, float] = {}
        self._waiting: dict[str, float] = {}

    def add(self, process: str, spans: Spans, *, serves: bool = True) -> None:
        """Add what a process measured.

        For a process that ``serves`` others, all time outside its measured activities counts as waiting; for any other
        process, only the activities named as waiting do.
        """
        self.latest.setdefault(process, deque(maxlen=_SPANS_KEPT)).extend(spans.spans)
        elapsed = spans.until - spans.since
        busy = sum(end - start for activity, start, end in spans.spans if not activity.startswith(WAITING))
        waiting = sum(end - start for activity, start, end in spans.spans if activity.startswith(WAITING))
        self._elapsed[process] = self._elapsed.get(process, 0.0) + elapsed
        self._waiting[process] = self._waiting.get(process, 0.0) + (elapsed - busy if serves else waiting)

    def take_waiting(self) -> dict[str, float]:
        """Return the share of its time that each process waited since the last call."""
        shares = {process: self._waiting[process] / elapsed for process, elapsed in self._elapsed.items() if elapsed}
        self._elapsed, self._waiting = {}, {}
        return shares
