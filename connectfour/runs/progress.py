"""Progress of a training run: rows of ``progress.csv``, log lines, a table for a terminal."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from rich.table import Table

from connectfour.settings.schema import StopSettings
from connectfour.system.files import write_atomically


@dataclass(frozen=True)
class ProgressRow:
    """One training iteration, in the columns of ``progress.csv``; the figures of the other learner are NaN.

    ``policy_loss``, ``value_loss`` and ``entropy`` belong to PPO, ``q_loss`` and ``td_error`` (mean absolute error) to
    Ape-X.
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
    policy_loss: float
    value_loss: float
    entropy: float
    q_loss: float
    td_error: float
    value_preserving: float
    frozen: str


_COLUMNS = [field.name for field in fields(ProgressRow)]


def append_row(file: Path, row: ProgressRow) -> None:
    """Append a row to a CSV file, after a header if the file is new or empty."""
    with file.open("a", newline="") as stream:
        writer = csv.DictWriter(stream, _COLUMNS, lineterminator="\n")
        if stream.tell() == 0:
            writer.writeheader()
        writer.writerow(asdict(row))


def rewind(file: Path, iteration: int) -> None:
    """Drop the rows after ``iteration``, which the checkpoint to resume from does not know.

    A file with other columns is kept under another name.
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
    # A killed run may have left a partial last line.
    writer.writerows(row for row in rows if None not in row.values() and int(row["iteration"]) <= iteration)
    write_atomically(file, text.getvalue().encode())


def limit_reached(limits: StopSettings, *, minutes: float, env_steps: int, league_size: int) -> str | None:
    """Return the name of a limit that has been reached, or None."""
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


def _losses(row: ProgressRow) -> dict[str, str]:
    """Return the learner's figures by name, without those that it does not have."""
    shown = {
        "policy loss": (row.policy_loss, "+.3f"),
        "value loss": (row.value_loss, ".3f"),
        "entropy": (row.entropy, ".2f"),
        "Q loss": (row.q_loss, ".4f"),
        "TD error": (row.td_error, ".3f"),
    }
    return {name: format(value, form) for name, (value, form) in shown.items() if not math.isnan(value)}


def plain_line(row: ProgressRow, limits: StopSettings) -> str:
    """Return an iteration as one log line."""
    line = (
        f"iteration {row.iteration}: {row.env_steps:,} env steps, {row.env_steps_per_second:,.0f}/s, "
        f"win rate {row.win_rate:.2f} (newest {row.newest_score:.2f}), league {row.league_size}, "
        f"{''.join(f'{name} {value}, ' for name, value in _losses(row).items())}"
        f"graded {_grade(row.value_preserving)}, {_time_left(row, limits)}"
    )
    return f"{line}; froze {row.frozen}" if row.frozen else line


def live_table(row: ProgressRow, limits: StopSettings) -> Table:
    """Return an iteration as a table that a terminal redraws in place."""
    table = Table(title="Connect Four league", title_style="bold")
    cells = {
        "iteration": str(row.iteration),
        "env steps": f"{row.env_steps:,}",
        "steps/s": f"{row.env_steps_per_second:,.0f}",
        "win rate": f"{row.win_rate:.2f}",
        "newest": f"{row.newest_score:.2f}",
        "league": str(row.league_size),
        **_losses(row),
        "graded": _grade(row.value_preserving),
        "time": _time_left(row, limits),
    }
    for name in cells:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_row(*cells.values())
    return table
