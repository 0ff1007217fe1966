"""The answer to an experiment's question, and what limits it."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter

from connectfour.experiments.reporting.findings import AXES, DONE, FAILED, NOT_EVALUATED, SKIPPED, Findings
from connectfour.experiments.reporting.rows import AverageRow
from connectfour.experiments.reporting.verdict import Verdict, caution, compare_axes, judge
from connectfour.experiments.reporting.wording import count, listed, number

_MOST_NAMES = 3
_NOTEWORTHY = 1.1
_FATES = {
    FAILED: "failed",
    SKIPPED: "were skipped",
    NOT_EVALUATED: "were not evaluated",
    "without results": "have no results",
}


def answers(findings: Findings) -> list[Verdict]:
    """Return the answer at equal minutes, then at equal env steps."""
    ends = {axis: findings.at_the_end(findings.primary, axis) for axis in AXES}
    if not any(ends.values()):
        evaluated = findings.fates[DONE]
        if not evaluated:
            return [Verdict("nothing", "Nothing was evaluated, so the question is open.", (_fates(findings),))]
        where = findings.reader.name(findings.folder.average)
        note = f"{evaluated} of {count(len(findings.runs), 'run')} were evaluated, but {where} has no averages of them."
        return [Verdict("nothing", "Nothing was compared, so the question is open.", (note,))]
    count_of_variants = len(findings.variants)
    return [
        judge(findings.primary, axis, rows, findings.pairs_at_the_end(findings.primary, axis), count_of_variants)
        for axis, rows in ends.items()
    ]


def _fates(findings: Findings) -> str:
    words = [f"{number} {_FATES.get(state, state)}" for state, number in findings.fates.items()]
    return f"Of {count(len(findings.runs), 'run')}, {listed(words)}." if words else "There are no runs."


def notes(findings: Findings, found: Sequence[Verdict]) -> list[str]:
    """Return what limits the answer."""
    rows = next(filter(None, (findings.at_the_end(findings.primary, axis) for axis in AXES)), [])
    if not rows:
        return []
    kinds = {answer.kind for answer in found}
    return [
        note
        for note in (
            _survivors(findings),
            compare_axes(*found) if len(found) == len(AXES) else "",
            _speeds(findings, rows),
            "There is one variant, so nothing is compared." if "one variant" in kinds else "",
            caution(rows) if kinds - {"too few seeds"} else "",
        )
        if note
    ]


def _survivors(findings: Findings) -> str:
    """Say which runs are missing from the comparison."""
    parts = []
    for variant in findings.variants:
        runs = [run for run in findings.runs if run.variant == variant]
        if lost := [run.state for run in runs if run.state != DONE]:
            why = listed([f"{lost.count(state)} {state}" for state in dict.fromkeys(lost)])
            parts.append(f"{variant} has {len(runs) - len(lost)} of {count(len(runs), 'run')} ({why})")
    if not parts:
        return ""
    condition = findings.settings.evaluate_if if findings.settings else None
    chosen = f" A run is evaluated only if {condition}." if condition else ""
    return (
        f"Only survivors are compared: {listed(parts)}.{chosen} If the missing runs are the weaker ones, this favors "
        "the variant that lost more of them."
    )


def _speeds(findings: Findings, rows: Sequence[AverageRow]) -> str:
    """Say how many env steps the variants take in a minute, if that differs."""
    speeds = {}
    for variant in (row.variant for row in rows):
        last = [run.train for run in findings.runs if run.variant == variant and run.train and run.train.minutes > 0]
        if last:
            speeds[variant] = sum(row.env_steps / row.minutes for row in last) / len(last)
    if not speeds or max(speeds.values()) < _NOTEWORTHY * min(speeds.values()):
        return ""
    words = [
        f"{number(speed, 0)} for {name}" for name, speed in sorted(speeds.items(), key=itemgetter(1), reverse=True)
    ]
    if len(words) <= _MOST_NAMES:
        return f"Env steps per minute: {listed(words)}."
    return f"Env steps per minute: from {words[0]} to {words[-1]}."
