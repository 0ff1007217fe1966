"""What a process spends its time on: totals by activity, and the latest spans for a timeline."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

Span = tuple[str, float, float]
"""An activity with its start and its end, in seconds since the epoch."""


@dataclass
class Spans:
    """Measures the activities of one process.

    Attributes:
        since: when measuring began, in seconds since the epoch.
        until: when ``take`` was called.
        spans: what was measured in between, in order.
    """

    since: float = field(default_factory=time.time)
    until: float = 0.0
    spans: list[Span] = field(default_factory=list)

    @contextmanager
    def measure(self, activity: str) -> Iterator[None]:
        """Count the time in the context as spent on ``activity``."""
        start = time.time()
        try:
            yield
        finally:
            self.spans.append((activity, start, time.time()))

    def take(self) -> Spans:
        """Return what was measured, and begin anew."""
        now = time.time()
        taken = Spans(self.since, now, self.spans)
        self.since, self.spans = now, []
        return taken
