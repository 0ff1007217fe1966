"""A Tune callback that records every training iteration and reports it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ray import tune

from connectfour.config import StopSettings
from connectfour.learning.progress import ProgressRow, append_row, live_table, plain_line
from connectfour.observer import Observer


class ProgressCallback(tune.Callback):  # type: ignore[misc]  # Ray's classes are untyped here
    """Writes every iteration to ``progress.csv`` and reports it to an observer.

    Attributes:
        last: the latest iteration.
    """

    def __init__(self, file: Path, limits: StopSettings, observer: Observer | None = None) -> None:
        """Write to ``file``; ``limits`` determine the time left."""
        self._file = file
        self._limits = limits
        self._observer = observer or Observer()
        self.last: ProgressRow | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        """Make it picklable, so that Tune can store the experiment: a copy has the same file but no observer."""
        return ProgressCallback, (self._file, self._limits)

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Record an iteration."""
        row = self.last = ProgressRow.from_result(result)
        append_row(self._file, row)
        limits = self._limits
        if row.frozen and self._observer.redraws:
            self._observer.say(f"iteration {row.iteration}: froze {row.frozen} at win rate {row.win_rate:.2f}")
        self._observer.show(lambda: plain_line(row, limits), lambda: live_table(row, limits), urgent=bool(row.frozen))
