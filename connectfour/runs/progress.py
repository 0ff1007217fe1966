"""Progress of a training run: rows of ``progress.csv``, log lines, a table for a terminal."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from rich.table import Table

from connectfour.errors import RunFolderError
from connectfour.settings.schema import Metric, RunSettings, StopSettings
from connectfour.system.files import write_atomically


@dataclass(frozen=True)
class ProgressRow:
    """One training iteration, in the columns of ``progress.csv``.

    Attributes:
        metrics: what the learner reports, by column; NaN where it does not.
    """

    iteration: int
    minutes: float
    env_steps: int
    env_steps_per_second: float
    win_rate: float
    newest_score: float
    draw_rate: float
    league_size: int
    league_score: float
    value_preserving: float
    frozen: str
    metrics: Mapping[str, float]

    @property
    def cells(self) -> dict[str, Any]:
        """The row by column."""
        cells = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "metrics"}
        return {**cells, **self.metrics}


COMMON_COLUMNS = tuple(field.name for field in fields(ProgressRow) if field.name != "metrics")
"""The columns of every run, whatever its learner."""


def append_row(file: Path, row: ProgressRow) -> None:
    """Append a row to a CSV file, after a header if the file is new or empty."""
    with file.open("a", newline="") as stream:
        writer = csv.DictWriter(stream, list(row.cells), lineterminator="\n")
        if stream.tell() == 0:
            writer.writeheader()
        writer.writerow(row.cells)


def rewind(file: Path, iteration: int, metrics: Sequence[Metric]) -> None:
    """Drop the rows after ``iteration``, which the checkpoint to resume from does not know.

    Columns of an earlier release that are not written any more are dropped, too. A file without this table's columns
    is kept under another name.
    """
    if not file.is_file():
        return
    columns = [*COMMON_COLUMNS, *(metric.column for metric in metrics)]
    with file.open(newline="", errors="replace") as stream:
        reader = csv.DictReader(stream)
        found, rows = reader.fieldnames or [], list(reader)
    if not set(columns) <= set(found):
        file.replace(file.with_suffix(".old.csv"))
        return
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(row for row in rows if _is_whole(row) and int(row["iteration"]) <= iteration)
    write_atomically(file, text.getvalue().encode())


def read_rows(file: Path) -> list[dict[str, str]]:
    """Return the whole rows of ``progress.csv``, as text by column; none if there is no file.

    Torn and damaged lines are left out: the run may have been killed, or be writing.

    Raises:
        RunFolderError: the file is no table of iterations.
    """
    try:
        text = file.read_bytes().decode(errors="replace")
    except FileNotFoundError:
        return []
    # A last line without its end may lack digits.
    reader = csv.DictReader(io.StringIO(text[: text.rfind("\n") + 1], newline=""))
    try:
        rows = list(reader)
    except csv.Error:
        rows = []
    if reader.fieldnames and "iteration" in reader.fieldnames:
        rows = [row for row in rows if _is_whole(row)]
    elif text:
        raise RunFolderError(f"{file} is damaged: restore it from a copy of the run")
    return rows


def number_in(row: Mapping[str, str], column: str) -> float:
    """Return a number in a row of ``progress.csv``; NaN if there is none."""
    try:
        return float(row[column])
    except (KeyError, ValueError):
        return math.nan


def _is_whole(row: Mapping[str | None, Any]) -> bool:
    """Return whether a line is a row: a killed run may have left a torn or damaged one."""
    return None not in row and None not in row.values() and str(row["iteration"]).isdecimal()


def limit_reached(limits: StopSettings, *, minutes: float, env_steps: float, league_size: float) -> str | None:
    """Return the name of a limit that has been reached, or None; NaN reaches none."""
    reached = {"minutes": minutes, "env_steps": env_steps, "league_size": league_size}
    for name, value in reached.items():
        limit = getattr(limits, name)
        if limit is not None and value >= limit:
            return name
    return None


def minutes_left(row: ProgressRow, limits: StopSettings) -> float | None:
    """Return the minutes until the first limit at the current speed; None if only the league's size is limited."""
    left = []
    if limits.minutes is not None:
        left.append(limits.minutes - row.minutes)
    if limits.env_steps is not None and row.env_steps_per_second > 0:
        left.append((limits.env_steps - row.env_steps) / row.env_steps_per_second / 60)
    return max(0.0, min(left)) if left else None


def _time_left(row: ProgressRow, limits: StopSettings) -> str:
    left = minutes_left(row, limits)
    if left is None:
        return f"until {limits.league_size} members" if limits.league_size else "no limit"
    return f"{int(left)}:{int(left * 60) % 60:02d} left"


def _grade(share: float) -> str:
    return "-" if math.isnan(share) else f"{share:.3f}"


def _metrics(row: ProgressRow, metrics: Sequence[Metric]) -> dict[str, str]:
    """Return what the learner reported by label."""
    reported = ((metric, row.metrics[metric.column]) for metric in metrics)
    return {metric.label: format(value, metric.form) for metric, value in reported if not math.isnan(value)}


def plain_line(row: ProgressRow, settings: RunSettings) -> str:
    """Return an iteration as one log line."""
    line = (
        f"iteration {row.iteration}: {row.env_steps:,} env steps, {row.env_steps_per_second:,.0f}/s, "
        f"win rate {row.win_rate:.2f} (newest {row.newest_score:.2f}), league {row.league_size}, "
        f"{''.join(f'{name} {value}, ' for name, value in _metrics(row, settings.metrics).items())}"
        f"graded {_grade(row.value_preserving)}, {_time_left(row, settings.stop)}"
    )
    return f"{line}; froze {row.frozen}" if row.frozen else line


def live_table(row: ProgressRow, settings: RunSettings) -> Table:
    """Return an iteration as a table that a terminal redraws in place."""
    table = Table(title="Connect Four league", title_style="bold")
    cells = {
        "iteration": str(row.iteration),
        "env steps": f"{row.env_steps:,}",
        "steps/s": f"{row.env_steps_per_second:,.0f}",
        "win rate": f"{row.win_rate:.2f}",
        "newest": f"{row.newest_score:.2f}",
        "league": str(row.league_size),
        **_metrics(row, settings.metrics),
        "graded": _grade(row.value_preserving),
        "time": _time_left(row, settings.stop),
    }
    for name in cells:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_row(*cells.values())
    return table
