"""Averages over the runs of an experiment, and comparisons of its variants.

``average.csv`` has one row per metric, axis, variant and place of a grid, with statistics over the variant's runs.
``probability_of_improvement.csv`` has one row per pair of variants, metric and axis, at the end of the run that ends
first: variants are compared at equal env steps and at equal minutes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from connectfour.errors import ConfigError
from connectfour.experiments.analysis.plots import draw_metric, plot_file
from connectfour.experiments.analysis.records import write_table
from connectfour.experiments.analysis.results import AXES, Axis, Floats, RunResults, read_results
from connectfour.experiments.analysis.statistics import Estimate, compare, holm
from connectfour.experiments.analysis.variant_curves import (
    VariantCurves,
    average,
    common_end,
    curves_by_variant,
    start_of,
)
from connectfour.experiments.layout import ExperimentFolder
from connectfour.experiments.metrics import unknown_metric
from connectfour.experiments.schema import EVALUATED
from connectfour.games.registry import DEFAULT

_AVERAGE_COLUMNS = (
    *("game", "metric", "axis", "at", "variant", "runs", "of", "mean", "sd", "iqm"),
    *("mean_low95", "mean_high95", "iqm_low95", "iqm_high95"),
)
_COMPARISON_COLUMNS = (
    *("game", "metric", "axis", "at", "variant", "other", "runs", "runs_of_other"),
    *("difference", "difference_low95", "difference_high95"),
    *("probability", "probability_low95", "probability_high95", "p_value", "p_value_corrected"),
)


@dataclass(frozen=True)
class AverageResult:
    """What ``write_averages`` has written.

    Attributes:
        paths: the tables, then the plots.
        missing: by the name of each run that does not count, why.
    """

    paths: tuple[Path, ...]
    missing: Mapping[str, str]


def write_averages(
    folder: Path,
    variants: Sequence[str],
    seeds: Sequence[int],
    *,
    primary: str,
    plots: Sequence[str],
    condition: str | None,
) -> AverageResult:
    """Write ``average.csv``, ``probability_of_improvement.csv`` and ``plots/`` of an experiment, however far it is.

    Nothing but the files in ``results`` is read.

    Args:
        folder: the experiment's folder.
        variants: names of the variants, in the order in which they are shown and compared.
        seeds: seeds of each variant's runs.
        primary: the metric that decides between variants; it comes first.
        plots: metrics to plot: evaluated ones, or columns of ``train.csv``.
        condition: the condition that runs had to meet to be evaluated, for the titles of plots.

    Raises:
        ConfigError: no run has a metric that is asked for; the message suggests the closest one.
        ExperimentError: a file is damaged.
    """
    files = ExperimentFolder(folder)
    runs = read_results(files, variants, seeds)
    evaluated = sorted({metric for run in runs for metric in run.evaluated}, key=_rank)
    for metric in (primary, *plots):
        _check(metric, runs, evaluated)
    compared = list(dict.fromkeys((primary, *evaluated)))
    metrics = list(dict.fromkeys((*compared, *plots)))
    game = next((run.game for run in runs), DEFAULT)
    table = {(metric, axis): average(runs, metric, axis) for metric in metrics for axis in AXES}
    averages = [row for (metric, axis), found in table.items() for row in _rows(game, metric, axis, found, len(seeds))]
    comparisons = [row for metric in compared for axis in AXES for row in _compare(runs, metric, axis)]
    write_table(files.average, _AVERAGE_COLUMNS, averages)
    write_table(files.improvement, _COMPARISON_COLUMNS, comparisons)
    paths = [files.average, files.improvement]
    files.plots.mkdir(exist_ok=True)
    for metric in dict.fromkeys(plots):
        panels = {axis: table[metric, axis] for axis in AXES}
        if any(panels.values()):
            left_out = metric in evaluated and any(run.is_unwanted for run in runs)
            paths.append(plot_file(files, metric))
            draw_metric(metric, panels, variants, len(seeds), paths[-1], condition if left_out else None)
    return AverageResult(tuple(paths), {run.name: run.missing for run in runs if run.missing})


def _rank(metric: str) -> tuple[int, str]:
    """Sort evaluated metrics: the three that compare runs, then scores against single opponents."""
    return EVALUATED.index(metric) if metric in EVALUATED else len(EVALUATED), metric


def _check(metric: str, runs: Sequence[RunResults], evaluated: Sequence[str]) -> None:
    """Refuse a metric that no run has, unless it may still come: its files are all missing."""
    trained = dict.fromkeys(name for run in runs for name in run.trained)
    known = list(dict.fromkeys((*evaluated, *EVALUATED, *trained)))
    may_come = not trained or (not evaluated and metric.startswith("score:"))
    if metric not in known and not may_come:
        raise ConfigError(unknown_metric(metric, known))


def _rows(game: str, metric: str, axis: Axis, found: Sequence[VariantCurves], planned: int) -> Iterator[dict[str, Any]]:
    for each in found:
        mean, iqm = each.summary.mean, each.summary.iqm
        for point, place in enumerate(each.places.tolist()):
            numbers = {
                "mean": mean.value,
                "sd": each.summary.sd,
                "iqm": iqm.value,
                "mean_low95": mean.low95,
                "mean_high95": mean.high95,
                "iqm_low95": iqm.low95,
                "iqm_high95": iqm.high95,
            }
            yield {
                **_labels(game, metric, axis, place),
                "variant": each.variant,
                "runs": each.summary.runs,
                "of": planned,
                **{name: _cell(values[point]) for name, values in numbers.items()},
            }


def _compare(runs: Sequence[RunResults], metric: str, axis: Axis) -> Iterator[dict[str, Any]]:
    """Yield the rows that compare all pairs of variants at the end that is common to all variants."""
    by_variant = curves_by_variant(runs, metric)
    if not by_variant:
        return
    end = common_end(by_variant, axis)
    values = {
        variant: np.array([curve.at(axis, np.array([end]))[0] for curve in curves])
        for variant, curves in by_variant.items()
        if start_of(curves, axis) <= end
    }
    pairs = list(combinations(values, 2))
    if not pairs:
        return
    results = [compare(values[one], values[other]) for one, other in pairs]
    corrected = holm(np.array([float(result.p_value) for result in results]))
    for (one, other), result, p_value in zip(pairs, results, corrected.tolist(), strict=True):
        yield {
            **_labels(runs[0].game, metric, axis, end),
            "variant": one,
            "other": other,
            "runs": len(values[one]),
            "runs_of_other": len(values[other]),
            **_estimate("difference", result.difference),
            **_estimate("probability", result.probability),
            "p_value": _cell(result.p_value),
            "p_value_corrected": _cell(p_value),
        }


def _labels(game: str, metric: str, axis: Axis, place: float) -> dict[str, str]:
    return {"game": game, "metric": metric, "axis": axis, "at": _format_place(axis, place)}


def _format_place(axis: Axis, place: float) -> str:
    return f"{place:.0f}" if axis == "env_steps" else f"{place:.4f}"


def _estimate(name: str, estimate: Estimate) -> dict[str, str]:
    cells = {"": estimate.value, "_low95": estimate.low95, "_high95": estimate.high95}
    return {f"{name}{suffix}": _cell(value) for suffix, value in cells.items()}


def _cell(value: Floats | float) -> str:
    """Return a number with six digits, or nothing for NaN."""
    return "" if np.isnan(value) else f"{float(value):.6g}"
