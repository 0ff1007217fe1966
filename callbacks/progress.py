"""A Tune callback that records every training iteration and reports it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ray import tune
from ray.rllib.utils.metrics import LEARNER_RESULTS, REPLAY_BUFFER_RESULTS
from ray.tune.result import SHOULD_CHECKPOINT

from connectfour.apex.algorithm import WAITING_SHARES
from connectfour.cluster.gauges import Gauges, Value
from connectfour.errors import StorageError
from connectfour.league.members import MAIN
from connectfour.rllib.parted_algorithm import ENDED
from connectfour.runs.folder import CHECKPOINT_INDEXES, RunFolder
from connectfour.runs.leftovers import surplus_checkpoints
from connectfour.runs.progress import ProgressRow, append_row, live_table, plain_line
from connectfour.settings.schema import Metric, RunSettings
from connectfour.storage.mirror import Mirror
from connectfour.system.notices import NoticeReader
from connectfour.system.observer import Observer
from connectfour.system.sealed import flush_tree


class ProgressCallback(tune.Callback):  # type: ignore[misc]  # Ray's classes are untyped here
    """Writes every iteration to ``progress.csv``, publishes it as metrics, and reports it to an observer.

    Attributes:
        last: the latest iteration.
    """

    def __init__(self, run: RunFolder, settings: RunSettings, observer: Observer | None = None) -> None:
        """Record the iterations of ``run``; ``settings`` say what the learner reports and when training ends."""
        self._run = run
        self._settings = settings
        self._observer = observer or Observer()
        self._notices = NoticeReader(run.notices)
        self._gauges = Gauges(run.path.resolve().name)
        self.last: ProgressRow | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        """Make it picklable, so that Tune can store the experiment: a copy has the same run but no observer."""
        return ProgressCallback, (self._run, self._settings)

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Pass on what the trainer has noticed; Tune calls this several times a second, result or not."""
        where = f"after iteration {self.last.iteration}: " if self.last else ""
        for sentence in self._notices.read():
            self._observer.say(f"{where}{sentence}")

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Record an iteration."""
        if ENDED in result:
            return
        settings = self._settings
        row = self.last = row_of(result, settings.metrics)
        append_row(self._run.progress, row)
        self._gauges.publish(gauge_values(row, result))
        for name in result.get("missing", ()):
            self._observer.say(f"iteration {row.iteration}: the league has lost the file of {name}")
        if row.frozen and self._observer.redraws:
            self._observer.say(f"iteration {row.iteration}: froze {row.frozen} at win rate {row.win_rate:.2f}")
        if retired := result.get("retired"):
            self._observer.say(f"{row.frozen} takes the place of {' and '.join(retired)}")
        self._observer.show(
            lambda: plain_line(row, settings), lambda: live_table(row, settings), urgent=bool(row.frozen)
        )


class PartPruner(tune.Callback):  # type: ignore[misc]  # Ray's classes are untyped here
    """Counts checkpoints over all parts of a resumed run: Tune knows only those of the part that trains now."""

    def __init__(self, run: RunFolder, part: str, keep: int, mirror: Mirror | None = None) -> None:
        """Keep at most ``keep`` checkpoints in ``run``, of which ``part`` trains now.

        ``mirror`` is what keeps ``run``, if it is a copy of a run in an object store.
        """
        self._run, self._part, self._keep, self._mirror = run, part, keep, mirror

    def __reduce__(self) -> tuple[Any, ...]:
        """Make it picklable, so that Tune can store the experiment."""
        return PartPruner, (self._run, self._part, self._keep)

    def on_checkpoint(self, iteration: int, trials: list[Any], trial: Any, checkpoint: Any, **info: Any) -> None:
        """Make room for the new one."""
        if self._mirror is None:
            for path in surplus_checkpoints(self._run, self._part, self._keep):
                shutil.rmtree(path, ignore_errors=True)
            return
        with suppress(StorageError):  # the next checkpoint makes room again
            self._mirror.pull(CHECKPOINT_INDEXES)
            self._mirror.remove(surplus_checkpoints(self._run, self._part, self._keep))


class CheckpointClock(tune.Callback):  # type: ignore[misc]  # Ray's classes are untyped here
    """Asks for a checkpoint after the first iteration, and whenever the last one is some minutes old.

    It also flushes every checkpoint to disk: Tune copies it into place without doing so.
    """

    def __init__(self, minutes: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Ask every ``minutes`` minutes of ``clock``, which counts seconds."""
        self._minutes = minutes
        self._clock = clock
        self._last: float | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        """Make it picklable, so that Tune can store the experiment."""
        return CheckpointClock, (self._minutes,)

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Tune saves a checkpoint with this result if the result asks for it."""
        if self._last is None or self._clock() - self._last >= 60 * self._minutes:
            result[SHOULD_CHECKPOINT] = True

    def on_checkpoint(self, iteration: int, trials: list[Any], trial: Any, checkpoint: Any, **info: Any) -> None:
        """Note the time, and flush the files."""
        self._last = self._clock()
        folder = Path(checkpoint.path)
        if folder.is_dir():
            flush_tree(folder)


def row_of(result: Mapping[str, Any], metrics: Sequence[Metric]) -> ProgressRow:
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
        value_preserving=round(float(result["value_preserving"]), 4),
        frozen=result["frozen"] or "",
        metrics={metric.column: round(float(learner.get(metric.key, "nan")), 5) for metric in metrics},
    )


def gauge_values(row: ProgressRow, result: Mapping[str, Any]) -> dict[str, Value]:
    """Pick what is published from a row and, for Ape-X, from the training result that it was made of."""
    values: dict[str, Value] = {
        "win_rate": row.win_rate,
        "newest_score": row.newest_score,
        "league_size": row.league_size,
        "value_preserving": row.value_preserving,
        "env_steps": row.env_steps,
        "env_steps_per_second": row.env_steps_per_second,
    }
    if WAITING_SHARES in result:
        values["waiting"] = result[WAITING_SHARES]
        values["replay_size"] = result[REPLAY_BUFFER_RESULTS]["size"]
    return values
