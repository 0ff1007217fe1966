"""Progress of a training run: rows of ``progress.csv``, a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from ray import tune
from ray.rllib.utils.metrics import LEARNER_RESULTS
from rich.console import Console
from rich.live import Live
from rich.table import Table

from connectfour.config import StopSettings
from connectfour.files import write_atomically
from connectfour.league.members import MAIN

_SECONDS_BETWEEN_LINES = 10.0


@dataclass(frozen=True)
class Row:
    """One iteration, in the columns of ``progress.csv``."""

    iteration: int
    minutes: float
    env_steps: int
    env_steps_per_second: float
    win_rate: float
    draw_rate: float
    league_size: int
    league_score: float
    policy_loss: float
    value_loss: float
    entropy: float
    value_preserving: float | None
    frozen: str

    @classmethod
    def from_result(cls, result: Mapping[str, Any]) -> Row:
        """Pick the columns from a result of ``SelfPlayPPO``."""
        learner = result.get(LEARNER_RESULTS, {}).get(MAIN, {})
        return cls(
            iteration=int(result["training_iteration"]),
            minutes=round(float(result["time_total_s"]) / 60, 4),
            env_steps=int(result["env_steps"]),
            env_steps_per_second=round(float(result["env_steps_per_second"]), 1),
            win_rate=round(float(result["win_rate"]), 4),
            draw_rate=round(float(result["draw_rate"]), 4),
            league_size=int(result["league_size"]),
            league_score=round(float(result["league_score"]), 4),
            policy_loss=round(float(learner.get("policy_loss", "nan")), 5),
            value_loss=round(float(learner.get("vf_loss", "nan")), 5),
            entropy=round(float(learner.get("entropy", "nan")), 5),
            value_preserving=_rounded(result["value_preserving"]),
            frozen=result["frozen"] or "",
        )


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, 4)


_COLUMNS = [field.name for field in fields(Row)]


def append_row(file: Path, row: Row) -> None:
    """Append to a CSV file, with a header if it is new or empty."""
    with file.open("a", newline="") as stream:
        writer = csv.DictWriter(stream, _COLUMNS, lineterminator="\n")
        if stream.tell() == 0:
            writer.writeheader()
        writer.writerow(asdict(row))


def rewind(file: Path, iteration: int) -> None:
    """Drop the rows after ``iteration``: the checkpoint that is resumed does not know them.

    A file that is not a table of these columns is kept under another name.
    """
    if not file.is_file():
        return
    with file.open(newline="", errors="replace") as stream:
        reader = csv.DictReader(stream)
        columns, rows = reader.fieldnames, list(reader)
    if columns != _COLUMNS:
        file.replace(file.with_suffix(".old.csv"))
        return
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    # The last line of a killed run may be torn.
    writer.writerows(row for row in rows if None not in row.values() and int(row["iteration"]) <= iteration)
    write_atomically(file, text.getvalue().encode())


def minutes_left(row: Row, limits: StopSettings) -> float | None:
    """Return the minutes until the first limit at the present speed; None if only the league's size limits."""
    left = []
    if limits.minutes is not None:
        left.append(limits.minutes - row.minutes)
    if limits.env_steps is not None and row.env_steps_per_second > 0:
        left.append((limits.env_steps - row.env_steps) / row.env_steps_per_second / 60)
    return max(0.0, min(left)) if left else None


def _time_left(row: Row, limits: StopSettings) -> str:
    left = minutes_left(row, limits)
    if left is None:
        return f"until {limits.league_size} members" if limits.league_size else "no limit"
    return f"{int(left)}:{int(left * 60) % 60:02d} left"


def _share(share: float | None) -> str:
    return "-" if share is None else f"{share:.3f}"


def plain_line(row: Row, limits: StopSettings) -> str:
    """Return an iteration as one line of a log."""
    line = (
        f"iteration {row.iteration}: {row.env_steps:,} env steps, {row.env_steps_per_second:,.0f}/s, "
        f"win rate {row.win_rate:.2f}, draws {row.draw_rate:.2f}, league {row.league_size}, "
        f"losses {row.policy_loss:+.3f} (policy) {row.value_loss:.3f} (value), entropy {row.entropy:.2f}, "
        f"graded {_share(row.value_preserving)}, {_time_left(row, limits)}"
    )
    return f"{line}; froze {row.frozen}" if row.frozen else line


def live_table(row: Row, limits: StopSettings) -> Table:
    """Return an iteration as a table that a terminal redraws in place."""
    table = Table(title="Connect Four league", title_style="bold")
    cells = {
        "iteration": str(row.iteration),
        "env steps": f"{row.env_steps:,}",
        "steps/s": f"{row.env_steps_per_second:,.0f}",
        "win rate": f"{row.win_rate:.2f}",
        "draws": f"{row.draw_rate:.2f}",
        "league": str(row.league_size),
        "policy loss": f"{row.policy_loss:+.3f}",
        "value loss": f"{row.value_loss:.3f}",
        "entropy": f"{row.entropy:.2f}",
        "graded": _share(row.value_preserving),
        "time": _time_left(row, limits),
    }
    for name in cells:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_row(*cells.values())
    return table


class ProgressCallback(tune.Callback):  # type: ignore[misc]  # Ray's classes are untyped here
    """Writes every iteration to ``progress.csv`` and shows it."""

    def __init__(
        self, file: Path, limits: StopSettings, console: Console, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Show on ``console``: a live table if it is a terminal, else a line every ten seconds and for each freeze."""
        self._file = file
        self._limits = limits
        self._console = console
        self._clock = clock
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None
        self._next_line = -float("inf")
        self.last: Row | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        """Let Tune store the experiment: a copy writes to the same file; a console cannot be stored."""
        return _without_display, (self._file, self._limits)

    def setup(self, **info: Any) -> None:
        """Open the live display."""
        if self._live:
            self._live.start()

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Take in an iteration."""
        row = Row.from_result(result)
        append_row(self._file, row)
        if row.value_preserving is None and self.last:
            row = replace(row, value_preserving=self.last.value_preserving)  # the newest that is known
        self.last = row
        if self._live:
            if row.frozen:
                self._console.print(f"iteration {row.iteration}: froze {row.frozen} at win rate {row.win_rate:.2f}")
            self._live.update(live_table(row, self._limits), refresh=True)
        elif row.frozen or self._clock() >= self._next_line:
            self._next_line = self._clock() + _SECONDS_BETWEEN_LINES
            self._console.print(plain_line(row, self._limits), soft_wrap=True, highlight=False)

    def on_experiment_end(self, trials: list[Any], **info: Any) -> None:
        """Close the live display."""
        self.close()

    def close(self) -> None:
        """Close the live display; the last table stays on the screen."""
        if self._live:
            self._live.stop()


def _without_display(file: Path, limits: StopSettings) -> ProgressCallback:
    return ProgressCallback(file, limits, Console(quiet=True))
