"""A Tune callback that records every training iteration and reports it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ray import tune
from ray.rllib.utils.metrics import LEARNER_RESULTS, REPLAY_BUFFER_RESULTS

from connectfour.league.members import MAIN
from connectfour.runs.progress import ProgressRow, append_row, live_table, plain_line
from connectfour.settings.schema import StopSettings
from connectfour.system.observer import Observer


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
        row = self.last = row_of(result)
        append_row(self._file, row)
        limits = self._limits
        replaced = int(result.get(REPLAY_BUFFER_RESULTS, {}).get("shards_replaced", 0))
        if replaced > self._replaced:
            self._observer.say(f"iteration {row.iteration}: a replay shard died; an empty one has taken its place")
        self._replaced = replaced
        if row.frozen and self._observer.redraws:
            self._observer.say(f"iteration {row.iteration}: froze {row.frozen} at win rate {row.win_rate:.2f}")
        self._observer.show(lambda: plain_line(row, limits), lambda: live_table(row, limits), urgent=bool(row.frozen))


def row_of(result: Mapping[str, Any]) -> ProgressRow:
    """Pick the columns from a league's training result."""
    learner = result.get(LEARNER_RESULTS, {}).get(MAIN, {})
    return ProgressRow(
        iteration=int(result["training_iteration"]),
        minutes=round(float(result["time_total_s"]) / 60, 4),
        env_steps=int(result["env_steps"]),
        env_steps_per_second=round(float(result["env_steps_per_second"]), 1),
        win_rate=round(float(result["win_rate"]), 4),
        newest_score=round(float(result["newest_score"]), 4),
        draw_rate=round(float(result["draw_rate"]), 4),
        league_size=int(result["league_size"]),
        league_score=round(float(result["league_score"]), 4),
        policy_loss=round(float(learner.get("policy_loss", "nan")), 5),
        value_loss=round(float(learner.get("vf_loss", "nan")), 5),
        entropy=round(float(learner.get("entropy", "nan")), 5),
        q_loss=round(float(learner.get("q_loss", "nan")), 5),
        td_error=round(float(learner.get("td_error", "nan")), 5),
        value_preserving=round(float(result["value_preserving"]), 4),
        frozen=result["frozen"] or "",
    )
