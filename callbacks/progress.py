"""A Tune callback that records every training iteration and reports it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ray import tune
from ray.rllib.utils.metrics import REPLAY_BUFFER_RESULTS

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
        self._replaced = 0
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
        replaced = int(result.get(REPLAY_BUFFER_RESULTS, {}).get("shards_replaced", 0))
        if replaced > self._replaced:
            self._observer.say(f"iteration {row.iteration}: a replay shard died; an empty one has taken its place")
        self._replaced = replaced
        if row.frozen and self._observer.redraws:
            self._observer.say(f"iteration {row.iteration}: froze {row.frozen} at win rate {row.win_rate:.2f}")
        self._observer.show(lambda: plain_line(row, limits), lambda: live_table(row, limits), urgent=bool(row.frozen))
