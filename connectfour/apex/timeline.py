"""``Timeline``: what learner, actors and shards do at the same time, and what each spends its time on."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from connectfour.apex.spans import Span, Spans

_SPANS_KEPT = 2000
WAITING = "wait"
"""Prefix of the names of activities that count as waiting."""
OTHER = "other"
"""What a process does that it does not measure."""


class Timeline:
    """Collects the spans of all processes.

    Attributes:
        latest: the latest spans by process.
    """

    def __init__(self) -> None:
        """Start without any process."""
        self.latest: dict[str, deque[Span]] = {}
        self._elapsed: dict[str, float] = {}
        self._spent: dict[str, dict[str, float]] = {}

    def add(self, process: str, spans: Spans, *, serves: bool = True) -> None:
        """Add what a process measured.

        The time outside its measured activities counts as waiting if the process ``serves`` others, else as ``OTHER``.
        """
        self.latest.setdefault(process, deque(maxlen=_SPANS_KEPT)).extend(spans.spans)
        elapsed = spans.until - spans.since
        rest = elapsed - sum(end - start for _, start, end in spans.spans)
        spent = self._spent.setdefault(process, {})
        for activity, seconds in (
            *((activity, end - start) for activity, start, end in spans.spans),
            (WAITING if serves else OTHER, max(0.0, rest)),
        ):
            spent[activity] = spent.get(activity, 0.0) + seconds
        self._elapsed[process] = self._elapsed.get(process, 0.0) + elapsed

    def take_shares(self) -> dict[str, dict[str, float]]:
        """Return the shares of time by process and activity since the last call; those of a process add up to 1."""
        shares = {
            process: {activity: seconds / elapsed for activity, seconds in self._spent[process].items()}
            for process, elapsed in self._elapsed.items()
            if elapsed
        }
        self._elapsed, self._spent = {}, {}
        return shares


def waiting(shares: Mapping[str, float]) -> float:
    """Return the share of waiting among the shares of a process."""
    return sum(share for activity, share in shares.items() if activity.startswith(WAITING))
