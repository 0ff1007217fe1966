"""A metric of all runs of a variant on one grid.

Runs report at different moments, so each run's curve is interpolated linearly onto a grid that all runs of its variant
reach, and never continued beyond its ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from connectfour.experiments.analysis.results import Axis, Curve, Floats, RunResults
from connectfour.experiments.analysis.statistics import Summary, summarize

_POINTS_OF_EVALUATIONS = 20
_POINTS_OF_TRAINING = 40


@dataclass(frozen=True)
class VariantCurves:
    """A metric of the runs of a variant over one axis.

    Attributes:
        variant: the variant.
        curves: the metric along each run that has it, at least one.
        places: grid (points,) on the axis that all these runs reach; empty if they have no place in common.
        summary: statistics over the runs at these places.
    """

    variant: str
    curves: Sequence[Curve]
    places: Floats
    summary: Summary


def average(runs: Sequence[RunResults], metric: str, axis: Axis) -> list[VariantCurves]:
    """Average a metric over the runs of each variant that has it, on a grid along ``axis``.

    The grid ends where the variant's first run ends. It includes the end that is common to all variants.
    """
    by_variant = curves_by_variant(runs, metric)
    count = _POINTS_OF_EVALUATIONS if any(metric in run.evaluated for run in runs) else _POINTS_OF_TRAINING
    found = []
    for variant, curves in by_variant.items():
        places = _grid(curves, axis, count, common_end(by_variant, axis))
        values = np.array([curve.at(axis, places) for curve in curves])
        found.append(VariantCurves(variant, curves, places, summarize(values)))
    return found


def curves_by_variant(runs: Iterable[RunResults], metric: str) -> dict[str, list[Curve]]:
    """Return the curves of a metric by variant."""
    found: dict[str, list[Curve]] = {}
    for run in runs:
        curve = run.curve(metric)
        if curve:
            found.setdefault(run.variant, []).append(curve)
    return found


def common_end(by_variant: Mapping[str, Sequence[Curve]], axis: Axis) -> float:
    """Return where the first curve of all variants ends."""
    return float(min(curve.over(axis)[-1] for curves in by_variant.values() for curve in curves))


def start_of(curves: Sequence[Curve], axis: Axis) -> float:
    """Return where the last of the curves starts."""
    return float(max(curve.over(axis)[0] for curve in curves))


def _grid(curves: Sequence[Curve], axis: Axis, count: int, common: float) -> Floats:
    """Return about ``count`` places that all curves reach, with their end and ``common`` among them."""
    start, end = start_of(curves, axis), min(float(curve.over(axis)[-1]) for curve in curves)
    if start > end:
        return np.empty(0)
    places = np.linspace(start, end, count)
    if axis == "env_steps":
        places = np.rint(places)
    return np.unique(np.append(places, common) if start <= common else places)
