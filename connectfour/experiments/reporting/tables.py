"""The report's tables."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from connectfour.experiments.reporting.findings import DONE, Findings, Run, compares_runs
from connectfour.experiments.reporting.rows import AverageRow, EvalRow
from connectfour.experiments.reporting.wording import (
    INTERVAL,
    NOTHING,
    capital,
    count,
    duration,
    interval,
    metric_name,
    moment,
    number,
    p_value,
    short_name,
    signed,
)


@dataclass(frozen=True)
class Column:
    """A column: its head, and whether it holds words, which are aligned to the left."""

    head: str
    words: bool = False


@dataclass(frozen=True)
class Code:
    """A cell that holds a command."""

    code: str


@dataclass(frozen=True)
class Strip:
    """A cell that draws a mean with its interval, as shares of the cell's width; cells beside it hold the numbers."""

    low: float
    mean: float
    high: float


@dataclass(frozen=True)
class Table:
    """A table: the first cell of each row is its head."""

    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[str | Code | Strip]]
    note: str = ""


def differing(findings: Findings) -> tuple[Table | None, Table | None]:
    """Return a table of the settings that the variants change, and one of all others that differ because of them."""
    full, variants = findings.full, findings.variants
    changed = list(dict.fromkeys(name for changes in variants.values() for name in changes))
    every = dict.fromkeys(name for values in full.values() for name in values)
    differs = [name for name in every if len({json.dumps(v.get(name), default=str) for v in full.values()}) > 1]
    rest = [name for name in differs if name not in changed]
    columns = [Column("setting", words=True), *(Column(name, words=True) for name in variants)]

    def table(caption: str, names: Sequence[str]) -> Table | None:
        rows = [[name, *(_setting(findings, variant, name) for variant in variants)] for name in names]
        return Table(caption, columns, rows) if rows and variants else None

    return table("Settings that the variants change", changed), table(
        "Other settings that differ because of them", rest
    )


def _setting(findings: Findings, variant: str, name: str) -> str:
    """Return the value of a setting in a variant's runs."""
    for values in (findings.full.get(variant, {}), findings.variants[variant]):
        if name in values:
            return plain(values[name])
    return NOTHING


def plain(value: Any) -> str:
    """Return a setting's value for people."""
    if isinstance(value, list | tuple):
        return ", ".join(map(plain, value)) or "none"
    words = {None: "none", True: "yes", False: "no"}
    if value is None or isinstance(value, bool):
        return words[value]
    return str(int(value) if isinstance(value, float) and value.is_integer() else value)


def values(findings: Findings, metric: str, axis: str) -> Table | None:
    """Return the table of every variant at the common end."""
    rows = findings.at_the_end(metric, axis)
    if not rows:
        return None
    cells: list[list[str | Code | Strip]]
    ends = [end for row in rows for end in (row.mean, row.mean_low95, row.mean_high95) if end is not None]
    columns = [
        Column("variant", words=True),
        Column("runs"),
        Column("mean"),
        Column(INTERVAL),
        Column(f"{number(min(ends))} to {number(max(ends))}"),
        Column("sd"),
        Column("IQM"),
        Column(INTERVAL),
    ]
    cells = [
        [
            row.variant,
            f"{row.runs} of {row.of}",
            number(row.mean),
            interval(row.mean_low95, row.mean_high95),
            _strip(row, min(ends), max(ends)),
            number(row.sd),
            number(row.iqm),
            interval(row.iqm_low95, row.iqm_high95),
        ]
        for row in rows
    ]
    return Table(f"{capital(metric_name(metric))}, after {moment(axis, rows[0].at)} each", columns, cells)


def _strip(row: AverageRow, low: float, high: float) -> Strip:
    """Draw a mean with its interval where the column reaches from ``low`` to ``high``."""
    ends = (row.mean_low95, row.mean, row.mean_high95)
    shares = [((row.mean if end is None else end) - low) / (high - low) if high > low else 0.5 for end in ends]
    return Strip(*shares)


def pairs(findings: Findings, metric: str, axis: str) -> Table | None:
    """Return the table of all pairs of variants, the better mean first."""
    rows = [row if row.difference >= 0 else row.swapped for row in findings.pairs_at_the_end(metric, axis)]
    if not rows:
        return None
    columns = [
        Column("pair", words=True),
        Column("runs"),
        Column("difference of means"),
        Column(INTERVAL),
        Column("probability of improvement"),
        Column(INTERVAL),
        Column("p"),
    ]
    cells = [
        [
            f"{row.variant} against {row.other}",
            f"{row.runs}, {row.runs_of_other}",
            signed(row.difference),
            interval(row.difference_low95, row.difference_high95, sign=True),
            number(row.probability, 2),
            interval(row.probability_low95, row.probability_high95, 2),
            _bare(row.p_value),
        ]
        for row in rows
    ]
    if len(rows) > 1:
        columns.append(Column("p, corrected"))
        cells = [[*line, _bare(row.p_value_corrected)] for line, row in zip(cells, rows, strict=True)]
    caption = "Each pair of variants, the higher mean first" if len(rows) > 1 else "The difference"
    return Table(f"{caption}: {metric_name(metric)}, after {moment(axis, rows[0].at)} each", columns, cells)


def _bare(value: float) -> str:
    return p_value(value).removeprefix("p ").removeprefix("= ")


def runs(findings: Findings) -> Table | None:
    """Return the table of all runs: their last policy that was evaluated, and their last iteration."""
    if not findings.runs:
        return None
    metrics = list(dict.fromkeys(metric for run in findings.runs for metric in run.grades))
    metrics.sort(key=lambda metric: (metric != findings.primary, not compares_runs(metric)))
    all_evaluated = all(run.state == DONE for run in findings.runs)
    columns = [
        Column("run", words=True),
        *([] if all_evaluated else [Column("state", words=True)]),
        *(Column(short_name(metric) + (f", {INTERVAL}" if metric == findings.primary else "")) for metric in metrics),
        Column("env steps"),
        Column("minutes"),
        Column("league"),
        Column("win rate*"),
    ]
    cells = [
        [
            f"{run.variant}, seed {run.seed}",
            *([] if all_evaluated else ["evaluated" if run.state == DONE else run.state]),
            *(_grade(run.grades.get(metric), with_interval=metric == findings.primary) for metric in metrics),
            *_training(run),
        ]
        for run in findings.runs
    ]
    note = (
        "Of the last policy that was evaluated; its interval is over positions or games, not over runs. Ladder and the "
        "names of opponents: points per game. * Win rate against its own pool; does not compare runs."
    )
    return Table("Each run at its own end", columns, cells, note)


def _grade(row: EvalRow | None, *, with_interval: bool) -> str:
    if row is None:
        return NOTHING
    ends = f" ({interval(row.low95, row.high95)})" if with_interval and row.low95 is not None else ""
    return number(row.value) + ends


def _training(run: Run) -> tuple[str, str, str, str]:
    row = run.train
    if row is None:
        return NOTHING, NOTHING, NOTHING, NOTHING
    members = NOTHING if row.league_size is None else str(row.league_size)
    return f"{row.env_steps:,}", number(row.minutes, 1), members, number(row.win_rate, 2)


def league(findings: Findings) -> Table | None:
    """Return the league table."""
    columns = [
        Column("rank", words=True),
        Column("player", words=True),
        Column("skill"),
        Column("\u00b1 95 %"),
        Column("won/drawn/lost"),
        Column("keeps the result (dev)"),
    ]
    cells = [
        [
            str(row.rank),
            row.player,
            number(row.mu, 1),
            number(row.interval, 1),
            f"{row.wins}/{row.draws}/{row.losses}",
            number(row.graded),
        ]
        for row in findings.league
    ]
    return Table("The best member of each run; skill in TrueSkill units", columns, cells) if cells else None


def steps(findings: Findings) -> Table | None:
    """Return the table of all steps with their commands."""
    columns = [Column("step", words=True), Column("state", words=True), Column("time"), Column("command", words=True)]
    cells: list[list[str | Code | Strip]] = []
    for step in findings.steps:
        receipt = step.receipt
        tries = f" (attempt {receipt.attempts})" if receipt and receipt.attempts > 1 else ""
        cells.append(
            [
                step.name,
                step.state,
                duration(receipt.seconds) + tries if receipt else NOTHING,
                Code(shlex.join(step.command)) if step.command else NOTHING,
            ]
        )
    return Table("Steps", columns, cells) if cells else None


def score_of(run: Run) -> str:
    """Return how the example games of a run ended."""
    totals = [row for row in run.matches if row.seat not in {"first", "second"}] or run.matches
    sentences = []
    for opponent in dict.fromkeys(row.opponent for row in totals):
        rows = [row for row in totals if row.opponent == opponent]
        wins, draws, losses = (sum(getattr(row, each) for row in rows) for each in ("wins", "draws", "losses"))
        games = count(sum(row.games for row in rows), "game")
        sentences.append(f"{games} against {opponent}: {wins} won, {draws} drawn, {losses} lost")
    return "; ".join(sentences)
