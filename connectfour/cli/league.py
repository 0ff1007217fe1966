"""The command that shows a run's league."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from connectfour.league.report import LeagueReport, MemberReport, report_league
from connectfour.system.observer import plain_console


def league(
    run: Annotated[Path, typer.Argument(help="Folder of the run; it may be training.")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Show who is in a run's pool, since when, main's score against each, and who has left it.

    The state is that of the latest freeze or checkpoint.
    """
    report = report_league(run)
    if as_json:
        typer.echo(report.model_dump_json(indent=1))
        return
    console = plain_console()
    console.print(_headline(report), soft_wrap=True, highlight=False)
    latest, everything = (f"score: main's points per game in {games} games" for games in ("its latest", "all"))
    console.print(_table("In the pool", report.active, latest, since="since iteration"))
    if report.retired:
        console.print(_table("Retired", report.retired, everything, since="joined", until="left"))


def _headline(report: LeagueReport) -> str:
    if report.iteration is None:
        return f"{report.run}: main has no checkpoint yet."
    graded = "" if report.graded is None else f", graded {report.graded:.3f}"
    return (
        f"{report.run}: main after iteration {report.iteration}, {report.env_steps:,} env steps{graded}; "
        f"frozen {'once' if report.freezes == 1 else f'{report.freezes} times'}."
    )


def _table(title: str, members: Iterable[MemberReport], caption: str, *, since: str, until: str = "") -> Table:
    table = Table(title=title, caption=caption, title_justify="left", caption_justify="left")
    table.add_column("member")
    table.add_column("kind")
    for column in ("env steps", since, *([until] if until else []), "games", "score", "graded"):
        table.add_column(column, justify="right", no_wrap=True)
    for member in members:
        table.add_row(
            member.id,
            member.kind,
            "" if member.env_steps is None else f"{member.env_steps:,}",
            _iteration(member.joined),
            *([_iteration(member.retired)] if until else []),
            str(member.games),
            "-" if member.score is None else f"{member.score:.3f}",
            "" if member.graded is None else f"{member.graded:.3f}",
        )
    return table


def _iteration(iteration: int | None) -> str:
    return "" if iteration is None else "start" if iteration == 0 else str(iteration)
