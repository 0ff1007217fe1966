"""The report of an experiment: one HTML file that needs nothing else."""

from __future__ import annotations

import shlex
from functools import cache
from importlib import resources
from pathlib import Path

from jinja2 import Environment, StrictUndefined, Template

from connectfour.errors import ExperimentError
from connectfour.experiments.reporting import answer, exhibits, tables
from connectfour.experiments.reporting.findings import (
    AXES,
    NOT_EVALUATED,
    SKIPPED,
    Findings,
    Receipt,
    compares_runs,
    find,
)
from connectfour.experiments.reporting.tables import Table
from connectfour.experiments.reporting.wording import capital, count, duration, equally, listed, metric_name
from connectfour.settings.reading import flat
from connectfour.system.files import write_atomically


def write_report(folder: Path) -> Path:
    """Write ``report.html`` of an experiment, in whatever state it is, and return its path.

    Raises:
        ExperimentError: there is no such folder.
    """
    if not folder.is_dir():
        raise ExperimentError(f"{folder} does not exist: name the folder of an experiment")
    findings = find(folder)
    write_atomically(findings.folder.report, render(findings).encode())
    return findings.folder.report


def render(findings: Findings) -> str:
    """Return the report as HTML."""
    first, *others = findings.metrics or [findings.primary]
    changed, follows = tables.differing(findings)
    answers = answer.answers(findings)
    context = {
        "css": _resource("report.css"),
        "findings": findings,
        "summary": _summary(findings),
        "answers": answers,
        "notes": answer.notes(findings, answers),
        "settings": _settings(findings),
        "changed": changed,
        "follows": follows,
        "full": [(name, text) for name in findings.variants if (text := _full_settings(findings, name))],
        "curves": exhibits.curves(findings),
        "run_curves": exhibits.run_curves(findings),
        "metric": metric_name(first),
        "results": _results(findings, first),
        "more_results": [
            (capital(metric_name(metric)), found) for metric in others if (found := _results(findings, metric))
        ],
        "runs": tables.runs(findings),
        "league": tables.league(findings),
        "league_picture": exhibits.picture(
            findings,
            findings.folder.league.leaderboard_picture,
            "Skills with 95 % intervals, and points between players",
        ),
        "games": exhibits.games(findings),
        "failures": exhibits.failures(findings),
        "not_evaluated": _by_reason(findings, NOT_EVALUATED),
        "skipped": _by_reason(findings, SKIPPED),
        "command": findings.command if isinstance(findings.command, str) else shlex.join(findings.command),
        "steps": tables.steps(findings),
        "graph": exhibits.picture(findings, findings.folder.graph, "Which step needs which"),
        "facts": _facts(findings),
    }
    # Everything has been read by now, so all faults are known.
    return _template().render(context, faults=findings.reader.faults)


@cache
def _template() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_resource("report.html"))


def _resource(name: str) -> str:
    return (resources.files("connectfour.experiments.reporting") / name).read_text(encoding="utf-8")


def _summary(findings: Findings) -> str:
    """Return what was done, in one line."""
    parts = [findings.name]
    if findings.settings:
        parts.append(f"{count(len(findings.variants), 'variant')}, {count(findings.settings.runs, 'run')} each")
    if receipts := findings.receipts:
        ended = max(receipt.ended for receipt in receipts)
        parts.append(f"finished {ended:%-d %B %Y}")
    return " \u00b7 ".join(parts)


def _settings(findings: Findings) -> list[tuple[str, str]]:
    """Return what all runs share, by name."""
    settings = findings.settings
    if settings is None:
        return []
    evaluation, examples, last = settings.evaluation, settings.examples, settings.first_seed + settings.runs - 1
    policies = f"{count(evaluation.points, 'policy')} of each run, evenly over its training"
    ladder = listed(evaluation.opponents)
    games = f"{count(evaluation.games, 'game')} from {count(evaluation.opening_plies, 'random move')}"
    seeds = f"seeds {settings.first_seed} to {last}" if settings.runs > 1 else f"seed {last}"
    limits = _limits(findings)
    train = [f"{name}={tables.plain(value)}" for name, value in flat(settings.train)]
    shared = [
        ("Runs", f"{count(settings.runs, 'run')} per variant, {seeds}"),
        ("Training ends", limits),
        ("Set for all runs", ", ".join(each for each in train if not (limits and each.startswith("stop.")))),
        (
            "Evaluation",
            f"{policies}: moves on the {evaluation.positions} positions; {games} against each of {ladder}",
        ),
        ("What decides", metric_name(evaluation.metric)),
        ("Evaluated only if", settings.evaluate_if or ""),
        (
            "Example games",
            f"{count(examples.games, 'game')} per run against {examples.opponent}" if examples.games else "",
        ),
        ("League table", f"{count(settings.league.games, 'game')} per player" if settings.league.games else ""),
    ]
    return [(name, text) for name, text in shared if text]


def _limits(findings: Findings) -> str:
    """Return the limits of training, if all variants have the same."""
    every = [
        {name.removeprefix("stop."): value for name, value in full.items() if name.startswith("stop.") and value}
        for full in findings.full.values()
    ]
    if not every or any(limits != every[0] for limits in every):
        return "as each variant says" if every and any(every) else ""
    return " or ".join(f"after {tables.plain(value)} {name.replace('_', ' ')}" for name, value in every[0].items())


def _full_settings(findings: Findings, variant: str) -> str:
    return findings.reader.text(findings.folder.variant(variant)) or ""


def _results(findings: Findings, metric: str) -> list[tuple[str, list[Table]]]:
    """Return the tables of a metric over each axis that has some; pairs only of metrics that compare runs."""
    found = []
    for axis in AXES:
        pairs = tables.pairs(findings, metric, axis) if compares_runs(metric) else None
        both = [table for table in (tables.values(findings, metric, axis), pairs) if table]
        if both:
            found.append((f"At {equally(axis)}", both))
    return found


def _by_reason(findings: Findings, state: str) -> list[tuple[str, list[str]]]:
    """Return the steps in a state by the reason for it."""
    found: dict[str, list[str]] = {}
    for step in findings.steps:
        if step.state == state:
            found.setdefault(step.reason, []).append(step.name)
    return list(found.items())


def _facts(findings: Findings) -> list[tuple[str, str]]:
    """Return versions, machines and times."""
    receipts = findings.receipts
    if not receipts:
        return []
    began, ended = min(each.began for each in receipts), max(each.ended for each in receipts)
    same_day = began.date() == ended.date()
    machines = list(dict.fromkeys(_machine(receipt) for receipt in receipts))
    versions = list(
        dict.fromkeys(
            f"connectfour-league {each.version}, Python {each.machine.python}, Ray {each.machine.ray}, "
            f"Torch {each.machine.torch}"
            for each in receipts
        )
    )
    total = sum(receipt.seconds for receipt in receipts)
    return [
        ("Versions", "; ".join(versions)),
        ("Machines" if len(machines) > 1 else "Machine", "; ".join(machines)),
        (
            "Time",
            f"{began:%-d %B %Y, %H:%M} to {ended:{'%H:%M' if same_day else '%-d %B %Y, %H:%M'}} {ended:%Z}".strip(),
        ),
        ("Duration", f"{duration((ended - began).total_seconds())}; all steps together {duration(total)}"),
    ]


def _machine(receipt: Receipt) -> str:
    machine = receipt.machine
    words = [machine.processor]
    if machine.cores is not None:
        words.append(count(machine.cores, "core"))
    if machine.bfloat16 is not None:
        words.append("with bfloat16" if machine.bfloat16 else "without bfloat16")
    return ", ".join(words)
