"""The command that compares runs: parsing, wiring, printing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.table import Table

from connectfour.system.observer import plain_console
from connectfour.system.outputs import check_output

if TYPE_CHECKING:
    from connectfour.grading.comparison import ComparedRun

_NOTE = (
    "The intervals are about these networks on these positions, not about the seeds: to compare settings, train "
    "several seeds of each (connectfour experiment)."
)


def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN", help="Folders of two runs or more.")],
    output: Annotated[Path, typer.Option(help="PNG file for the learning curves.")] = Path("compare.png"),
    positions: Annotated[
        str, typer.Option(help="Positions to grade main on: test, dev, or a CSV file as for connectfour grade.")
    ] = "test",
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
) -> None:
    """Draw the learning curves of runs over each other, and grade main of each on the same solved positions.

    The differences are from the first run, with intervals for paired verdicts (Tango 1998). Win rates are left out: a
    run's win rate is against its own pool and never compares two runs.
    """
    check_output(output, ".png")
    from connectfour.grading.comparison import compare_runs
    from connectfour.runs.curves import draw_comparison

    compared = compare_runs(runs, positions)
    draw_comparison({run.label: run.folder.progress for run in compared}, output)
    if as_json:
        result = {
            "game": compared[0].game,
            "positions": positions,
            "picture": str(output),
            "runs": list(map(_to_json, compared)),
        }
        typer.echo(json.dumps(result, indent=1))
        return
    console = plain_console()
    console.print(_table(compared, positions))
    console.print(f"{_NOTE}\nLearning curves: {output}", soft_wrap=True, highlight=False)


def _table(compared: Sequence[ComparedRun], positions: str) -> Table:
    count = compared[0].grade.positions
    table = Table(
        title=f"main on {positions}, {count:,} positions",
        caption=f"grade: share of moves that keep the result. difference: from {compared[0].label}. "
        "Below both, their 95 % intervals.",
        caption_justify="left",
        box=box.SIMPLE,
    )
    table.add_column("run", overflow="fold")
    table.add_column("algorithm", no_wrap=True)
    for column in ("env steps", "minutes", "grade", "difference"):
        table.add_column(column, justify="right", no_wrap=True)
    for run in compared:
        shares = run.grade.to_json()
        low, high = shares["value_preserving_interval"]
        table.add_row(
            run.label,
            run.algorithm,
            f"{run.env_steps:,}",
            f"{run.minutes:.1f}",
            f"{run.grade.value_preserving_share:.3f}\n[{low:.3f}, {high:.3f}]",
            _difference(run),
        )
    return table


def _difference(run: ComparedRun) -> str:
    if run.difference is None:
        return ""
    low, high = run.difference.interval
    return f"{run.difference.share:+.3f}\n[{low:+.3f}, {high:+.3f}]"


def _to_json(run: ComparedRun) -> dict[str, Any]:
    facts = {
        "run": run.label,
        "path": str(run.folder.path),
        "algorithm": run.algorithm,
        "iteration": run.iteration,
        "env_steps": run.env_steps,
        "minutes": run.minutes,
        **run.grade.to_json(),
    }
    if run.difference:
        facts |= {
            "difference": run.difference.share,
            "difference_interval": run.difference.interval,
            "only_this_run": run.difference.more,
            "only_the_first_run": run.difference.fewer,
        }
    return facts
