"""What an experiment answers: which variant is better, by how much and how surely, in sentences.

A variant is called better only if two things hold for its primary metric at the last common point of training: the
test of the pair, corrected for the number of pairs, has p <= 0.05, and the 95 % interval of the difference of means
excludes 0. If even a perfect separation of the runs would not reach p <= 0.05, there are too few seeds to tell.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from connectfour.experiments.reporting.rows import AverageRow, PairRow
from connectfour.experiments.reporting.wording import (
    INTERVAL,
    count,
    equally,
    interval,
    listed,
    metric_name,
    moment,
    number,
    p_value,
    signed,
)

LEVEL = 0.05
"""Corrected p-values up to this are called a difference."""

_MOST_RUNS_WITH_NARROW_INTERVALS = 9
_MOST_NAMES = 3

Kind = Literal["better", "unclear", "too few seeds", "one variant", "nothing"]


@dataclass(frozen=True)
class Verdict:
    """The answer over one axis.

    Attributes:
        kind: what can be said.
        headline: it as one sentence.
        details: the figures behind it, a sentence each.
        points: with more than two variants, the best one against each of the others.
        better: the pairs of variants of which the first is better.
        best: the variant with the highest mean; empty if nothing was evaluated.
    """

    kind: Kind
    headline: str
    details: tuple[str, ...] = ()
    points: tuple[str, ...] = ()
    better: frozenset[tuple[str, str]] = frozenset()
    best: str = ""


def smallest_p_value(runs: int, runs_of_other: int, pairs: int = 1) -> float:
    """Return the p-value, corrected for ``pairs`` comparisons, if every run of one variant beats every other run.

    It is the exact two-sided p-value of Mann and Whitney's test, 2 / C(runs + other runs, runs), times ``pairs``.
    """
    return min(1.0, 2 * pairs / math.comb(runs + runs_of_other, runs))


def fewest_runs(pairs: int = 1) -> int:
    """Return the fewest runs per variant with which a perfect separation of the runs is significant."""
    runs = 1
    while smallest_p_value(runs, runs, pairs) > LEVEL:
        runs += 1
    return runs


def judge(metric: str, axis: str, averages: Sequence[AverageRow], pairs: Sequence[PairRow], variants: int) -> Verdict:
    """Return what the runs say about the variants.

    Args:
        metric: what decides.
        axis: ``minutes`` or ``env_steps``.
        averages: every variant with evaluated runs, at the last point that is common to all.
        pairs: every pair of them, at the same point, either way around.
        variants: number of variants of the experiment.
    """
    if not averages:
        return Verdict("nothing", f"Nothing was evaluated at {equally(axis)}, so the question is open.")
    ranked = sorted(averages, key=lambda row: -row.mean)
    best, others = ranked[0], ranked[1:]
    if not others:
        return _alone(best, metric, variants)
    found = {(row.variant, row.other): row for pair in pairs for row in (pair, pair.swapped)}
    rows = [found[best.variant, row.variant] for row in others if (best.variant, row.variant) in found]
    if not rows:
        headline = f"At {equally(axis)}, {listed([row.variant for row in ranked])} were not compared."
        return Verdict("nothing", headline, (_means(ranked),), best=best.variant)
    total = len({frozenset((row.variant, row.other)) for row in pairs})
    if all(_has_too_few(row, total) for row in rows):
        return _too_few(rows, ranked, metric, total)
    if len(rows) == 1:
        return _two(rows[0], ranked, metric)
    return _many(rows, ranked, metric, total, are_all=len(ranked) == variants)


def _alone(row: AverageRow, metric: str, variants: int) -> Verdict:
    spread = f" ({INTERVAL} {interval(row.mean_low95, row.mean_high95)})" if row.runs > 1 else ""
    mean = (
        f"After {moment(row.axis, row.at)}, the mean of the {metric_name(metric)} is {number(row.mean)}{spread} over "
        f"{count(row.runs, 'run')}."
    )
    one = ("One run does not show how much runs differ.",) if row.runs == 1 else ()
    if variants == 1:
        return Verdict("one variant", mean, one, best=row.variant)
    headline = f"At {equally(row.axis)}, there is nothing to compare: only {row.variant} has evaluated runs."
    return Verdict("nothing", headline, (mean, *one), best=row.variant)


def _two(row: PairRow, ranked: Sequence[AverageRow], metric: str) -> Verdict:
    """Judge the better one of two variants against the other."""
    best, other, axis = row.variant, row.other, row.axis
    if _is_better(row):
        headline = (
            f"At {equally(axis)}, {best} is better than {other} by {number(row.difference)} in the "
            f"{metric_name(metric)} ({INTERVAL} {interval(row.difference_low95, row.difference_high95)})."
        )
        sure = f"{_how_often(row)}; {p_value(row.p_value_corrected)}."
        return Verdict("better", headline, (_means(ranked), sure), better=frozenset({(best, other)}), best=best)
    headline = f"At {equally(axis)}, no clear difference between {best} and {other} in the {metric_name(metric)}."
    ends = interval(row.difference_low95, row.difference_high95, sign=True)
    difference = f"Difference {signed(row.difference)} ({INTERVAL} {ends}); {p_value(row.p_value_corrected)}."
    return Verdict("unclear", headline, (_means(ranked), difference, _excluded(row)), best=best)


def _many(rows: Sequence[PairRow], ranked: Sequence[AverageRow], metric: str, total: int, *, are_all: bool) -> Verdict:
    """Judge the variant with the highest mean against each of the others."""
    kind_of_variants = "variants" if are_all else "evaluated variants"
    best, axis, others = ranked[0], rows[0].axis, len(ranked) - 1
    beaten = [row.other for row in rows if _is_better(row) and not _has_too_few(row, total)]
    what = f"in the {metric_name(metric)}"
    if len(beaten) == others:
        headline = (
            f"At {equally(axis)}, {best.variant} is better than each of the other {others} {kind_of_variants} {what}."
        )
    elif beaten:
        names = listed(beaten) if others <= _MOST_NAMES else f"{len(beaten)} of the other {others} {kind_of_variants}"
        headline = f"At {equally(axis)}, {best.variant} is better than {names} {what}."
    else:
        headline = (
            f"At {equally(axis)}, no clear difference {what}: {best.variant} has the highest mean, but is not clearly "
            f"better than any of the other {others} {kind_of_variants}."
        )
    introduction = (
        f"After {moment(axis, best.at)} each, its mean is {number(best.mean)}. The others with their means, then the "
        f"difference with its {INTERVAL} and p, corrected for {total} pairs of variants:"
    )
    means = {row.variant: row.mean for row in ranked}
    points = tuple(_point(row, means[row.other], total) for row in rows)
    better = frozenset((best.variant, other) for other in beaten)
    kind: Kind = "better" if beaten else "unclear"
    return Verdict(kind, headline, (introduction,), points, better, best.variant)


def _point(row: PairRow, mean: float, total: int) -> str:
    if _has_too_few(row, total):
        finding = f"too few seeds ({row.runs} and {row.runs_of_other}) to compare it with"
    else:
        finding = "better than" if _is_better(row) else "no clear difference to"
    ends = interval(row.difference_low95, row.difference_high95, sign=True)
    figures = f"{signed(row.difference)} ({ends}), {p_value(row.p_value_corrected)}"
    return f"{finding} {row.other} ({number(mean)}): {figures}"


def _too_few(rows: Sequence[PairRow], ranked: Sequence[AverageRow], metric: str, total: int) -> Verdict:
    """Say what was observed, as an observation."""
    axis = rows[0].axis
    most = min(rows, key=lambda row: smallest_p_value(row.runs, row.runs_of_other, total))
    have = (
        f"{count(most.runs, 'run')} per variant"
        if most.runs == most.runs_of_other
        else f"{count(most.runs, 'run')} of {most.variant} and {most.runs_of_other} of {most.other}"
    )
    among = f" and {total} pairs of variants" if total > 1 else ""
    perfect = p_value(smallest_p_value(most.runs, most.runs_of_other, total))
    headline = (
        f"Too few seeds to tell at {equally(axis)}: with {have}{among}, even a perfect separation of the runs gives "
        f"only {perfect}."
    )
    seen = f", a difference of {signed(rows[0].difference)} in the {metric_name(metric)}" if len(rows) == 1 else ""
    observed = f"Observed, which may be chance: means after {_after(ranked)}{seen}."
    need = f"A verdict needs at least {fewest_runs(total)} runs per variant."
    return Verdict("too few seeds", headline, (observed, need), best=ranked[0].variant)


def compare_axes(minutes: Verdict, env_steps: Verdict) -> str:
    """Return a sentence if the answers at equal minutes and at equal env steps differ; else nothing."""
    if minutes.better == env_steps.better:
        return ""
    against = {(other, one) for one, other in env_steps.better}
    how = "contradict each other" if minutes.better & against else "differ"
    return (
        f"The two answers {how}: equal minutes count how fast a variant samples and learns, equal env steps only what "
        "it learns from them."
    )


def caution(averages: Sequence[AverageRow]) -> str:
    """Return a sentence about intervals of few runs; nothing if there are many."""
    runs = min((row.runs for row in averages), default=0)
    if not 1 < runs <= _MOST_RUNS_WITH_NARROW_INTERVALS:
        return ""
    return f"With {runs} runs, bootstrap intervals are too narrow: they cover less than they promise."


def _has_too_few(row: PairRow, total: int) -> bool:
    return smallest_p_value(row.runs, row.runs_of_other, total) > LEVEL


def _is_better(row: PairRow) -> bool:
    low = row.difference_low95
    return row.p_value_corrected <= LEVEL and low is not None and low > 0 and row.probability > 0.5


def _excluded(row: PairRow) -> str:
    """Say which differences an interval leaves open."""
    low, high = row.difference_low95, row.difference_high95
    if low is None or high is None:
        return "There is no interval, so no difference is excluded."
    found = row.p_value_corrected <= LEVEL
    if low > 0:
        against = "the runs differ the other way around" if found else "the test does not find a difference"
        return f"The interval excludes 0, but {against}: the evidence is mixed."
    if found:
        return "The test finds a difference, but the interval includes 0: the evidence is mixed."
    return (
        f"The interval leaves open that {row.variant} is better by up to {number(high)} or worse by up to "
        f"{number(-low)}; it excludes larger differences."
    )


def _how_often(row: PairRow) -> str:
    """Say how often a run of one variant beats a run of the other; a bootstrap of separate runs knows only 1.00."""
    if row.probability >= 1:
        return f"Each of the {row.runs} runs of {row.variant} beats each of the {row.runs_of_other} runs of {row.other}"
    ends = interval(row.probability_low95, row.probability_high95, 2)
    chance = f"{number(row.probability, 2)} ({INTERVAL} {ends})"
    return f"A run of {row.variant} beats a run of {row.other} with probability {chance}"


def _means(ranked: Sequence[AverageRow]) -> str:
    return f"Means after {_after(ranked)}."


def _after(ranked: Sequence[AverageRow]) -> str:
    means = listed([f"{number(row.mean)} for {row.variant}" for row in ranked])
    return f"{moment(ranked[0].axis, ranked[0].at)} each: {means}"
