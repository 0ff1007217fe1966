"""What a process spends its time on: totals by activity, and the latest spans for a timeline."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

_SPANS_KEPT = 4096


@dataclass
class Spans:
    """Measures activities.

    Attributes:
        since: when measuring began, in seconds since the epoch.
        seconds: total duration by activity.
        latest: the latest ``(activity, start, end)``, in seconds since the epoch.
    """

    since: float = field(default_factory=time.time)
    seconds: dict[str, float] = field(default_factory=dict)
    latest: deque[tuple[str, float, float]] = field(default_factory=lambda: deque(maxlen=_SPANS_KEPT))

    @contextmanager
    def measure(self, activity: str) -> Iterator[None]:
        """Count the time in the context as spent on ``activity``."""
        start = time.time()
        try:
            yield
        finally:
            end = time.time()
            self.seconds[activity] = self.seconds.get(activity, 0.0) + end - start
            self.latest.append((activity, start, end))

    def share(self, *activities: str, until: float | None = None) -> float:
        """Return the share of the time since ``since`` that ``activities`` took."""
        elapsed = (until or time.time()) - self.since
        return sum(self.seconds.get(name, 0.0) for name in activities) / elapsed if elapsed > 0 else 0.0
