"""The command that lists runs and experiments: parsing and printing."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE
from rich.table import Table

from connectfour.experiments.inventory import ExperimentReport, list_experiments
from connectfour.runs.inventory import RunReport, list_runs
from connectfour.system.observer import plain_console

_CAPTION = "win rate: against the run's own pool. graded: main on the solved positions, dev half."


def runs(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of runs.")] = Path("runs"),
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """List runs and experiments in a folder, the one written last first; those that run are not disturbed.

    A run is running, done (a limit of the section stop was reached), failed (an error ended it) or interrupted. For the
    runs of an experiment, name its folder runs.
    """
    reports, experiments = list_runs(folder), list_experiments(folder)
    if as_json:
        found = {
            "runs": [report.model_dump(mode="json") for report in reports],
            "experiments": [experiment.model_dump(mode="json") for experiment in experiments],
        }
        typer.echo(json.dumps(found, indent=1))
        return
    console = plain_console()
    if not reports and not experiments:
        console.print(
            f"There are no runs in {folder}: start one with connectfour train --run-dir {folder / 'first'}",
            soft_wrap=True,
            highlight=False,
        )
        return
    rows = [(report.written, _cells(report)) for report in reports]
    rows += [(experiment.written, _experiment_cells(experiment)) for experiment in experiments]
    console.print(_table(rows))
    for report in reports:
        for fault in report.faults:
            console.print(f"{report.name}: {fault}", soft_wrap=True, highlight=False)


def _table(rows: list[tuple[datetime, list[str]]]) -> Table:
    """Return a table of rows with the times at which they were written, which become ages; the newest comes first."""
    table = Table(box=SIMPLE, padding=(0, 1, 0, 0), caption=_CAPTION, caption_justify="left")
    table.add_column("run", overflow="fold")
    table.add_column("state", no_wrap=True)
    table.add_column("age", justify="right", no_wrap=True)
    table.add_column("algorithm", no_wrap=True)
    for column in ("env steps", "win rate", "graded", "size"):
        table.add_column(column, justify="right", no_wrap=True)
    now = datetime.now(UTC)
    for written, (name, state, *cells) in sorted(rows, reverse=True):
        table.add_row(name, state, age((now - written).total_seconds()), *cells)
    return table


def _cells(report: RunReport) -> list[str]:
    return [
        report.name,
        report.state,
        report.algorithm or "-",
        "-" if report.env_steps is None else f"{report.env_steps:,}",
        "-" if report.win_rate is None else f"{report.win_rate:.2f}",
        "-" if report.graded is None else f"{report.graded:.3f}",
        size(report.bytes),
    ]


def _experiment_cells(report: ExperimentReport) -> list[str]:
    steps = "-" if report.steps is None else f"{report.done}/{report.steps} steps"
    return [report.name, report.state, "experiment", steps, "", "", size(report.bytes)]


def age(seconds: float) -> str:
    """Return an age in its largest unit: 8 s, 3 min, 2 h, 5 d."""
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{int(seconds / length)} {unit}"
    return f"{max(0, int(seconds))} s"


def size(count: int) -> str:
    """Return a number of bytes with its unit: 512 bytes, 3.4 kB, 120 MB."""
    if count < 1000:
        return f"{count} bytes"
    amount = float(count)
    for unit in ("kB", "MB", "GB"):
        amount /= 1000
        if amount < 999.5:
            return f"{amount:.1f} {unit}" if amount < 9.95 else f"{amount:.0f} {unit}"
    return f"{amount / 1000:,.1f} TB"
