"""Plots of a metric over all runs of an experiment, as PNG files."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator
from matplotlib.typing import LineStyleType

from connectfour.experiments.analysis.results import Axis, Curve, Floats
from connectfour.experiments.analysis.variant_curves import VariantCurves
from connectfour.experiments.layout import ExperimentFolder
from connectfour.experiments.metrics import GRADED_WHILE_TRAINING
from connectfour.experiments.schema import EVALUATED
from connectfour.settings.reading import LEARNERS, run_settings
from connectfour.standings.figures import save_figure

# Colors that can be distinguished with any color vision (Okabe and Ito 2008), without the yellow, which is too light
# for lines. Seven colors and five styles have 35 combinations.
_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
_STYLES: tuple[LineStyleType, ...] = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))

_MOST_POINTS = 40

_AXIS_LABELS: dict[Axis, str] = {"env_steps": "env steps", "minutes": "minutes of training"}

_LABELS = {
    "value_preserving": "value-preserving moves\n(share of solved positions)",
    "optimal": "optimal moves\n(share of solved positions)",
    "score": "points per game\nagainst the ladder",
    GRADED_WHILE_TRAINING: "value-preserving moves\n(share of solved positions, dev)",
    "win_rate": "points per game\nagainst the pool",
    "newest_score": "points per game\nagainst the newest snapshots",
    "draw_rate": "draws against the pool\n(share of games)",
    "league_size": "league size\n(heuristics and snapshots)",
    "league_score": "freezes plus points per game\nagainst the pool",
    "env_steps_per_second": "env steps per second",
    "env_steps": "env steps",
    "minutes": "minutes of training",
}


def plot_file(folder: ExperimentFolder, metric: str) -> Path:
    """Return the file with the plot of a metric: ``plots/score-minimax-2.png`` for ``score:minimax:2``."""
    return folder.plots / f"{metric.replace(':', '-')}.png"


def metric_label(metric: str) -> str:
    """Return what a metric is, in the field's terms, in one or two lines."""
    learners = {each.column: each.axis or each.label for name in LEARNERS for each in run_settings(name).metrics}
    if metric.startswith("score:"):
        return f"points per game\nagainst {metric.partition(':')[2]}"
    return _LABELS.get(metric) or learners.get(metric, metric)


def draw_metric(
    metric: str,
    panels: Mapping[Axis, Sequence[VariantCurves]],
    variants: Sequence[str],
    planned: int,
    file: Path,
    condition: str | None = None,
) -> None:
    """Draw a metric over env steps and over minutes: each variant's mean with its 95 % interval, and its single runs.

    The line is the mean however many runs there are, because variants are compared by their means.

    Args:
        metric: the metric.
        panels: its curves by axis, those of at least one variant each.
        variants: all variants of the experiment; a variant looks the same in all plots.
        planned: runs that each variant was to have.
        file: the PNG file to write.
        condition: the condition that other runs did not meet; None if none were left out.
    """
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    axes = figure.subplots(1, len(panels), sharey=True)
    for panel, (axis, found) in zip(axes, panels.items(), strict=True):
        for each in found:
            number = variants.index(each.variant)
            look = _COLORS[number % len(_COLORS)], _STYLES[number % len(_STYLES)]
            _draw_variant(panel, axis, each, f"{each.variant} ({each.summary.runs} of {planned} runs)", *look)
        panel.set_xlabel(_AXIS_LABELS[axis])
        panel.grid(alpha=0.3)
        panel.margins(x=0.02)
        if axis == "env_steps":
            panel.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes[0].set_ylabel(metric_label(metric))
    if metric == "league_size":
        axes[0].yaxis.set_major_locator(MaxNLocator(integer=True))
    several = any(each.summary.runs > 1 for found in panels.values() for each in found)
    shown = "mean with 95 % bootstrap interval, and single runs" if several else "one run per variant"
    lines = [f"{metric.replace('_', ' ')}: {shown}"]
    if condition:
        lines += textwrap.wrap(f"runs that met {condition} only", 110)
    figure.suptitle("\n".join(lines), fontsize=11)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    save_figure(figure, file)


def draw_evaluation(rows: Sequence[Mapping[str, Any]], title: str, file: Path) -> None:
    """Draw what was evaluated of one run, over env steps and over minutes, with each policy's own 95 % intervals.

    Args:
        rows: those of ``eval.csv``.
        title: what the run is called.
        file: the PNG file to write.
    """
    metrics = dict.fromkeys(row["metric"] for row in rows)
    panels = [
        [each for each in metrics if each.startswith("score")],
        [each for each in EVALUATED[:2] if each in metrics],
    ]
    panels = [panel for panel in reversed(panels) if panel]
    figure = Figure(figsize=(11, 1 + 2.8 * len(panels)), layout="constrained")
    axes = figure.subplots(len(panels), len(_AXIS_LABELS), sharex="col", sharey="row", squeeze=False)
    for line, drawn in enumerate(panels):
        for column, (axis, axis_label) in enumerate(_AXIS_LABELS.items()):
            panel = axes[line, column]
            for number, metric in enumerate(drawn):
                points = [row for row in rows if row["metric"] == metric]
                values = np.array([(row[axis], row["value"], row["low95"], row["high95"]) for row in points]).T
                color, style = _COLORS[number % len(_COLORS)], _STYLES[number % len(_STYLES)]
                panel.plot(
                    values[0], values[1], color=color, linestyle=style, marker=".", label=metric.replace("_", " ")
                )
                panel.fill_between(values[0], values[2], values[3], color=color, alpha=0.15, linewidth=0)
            panel.grid(alpha=0.3)
            if axis == "env_steps":
                panel.xaxis.set_major_formatter(EngFormatter(sep=""))
            if line == len(panels) - 1:
                panel.set_xlabel(axis_label)
        axes[line, 0].set_ylabel("points per game" if drawn[0].startswith("score") else "share of solved positions")
        axes[line, 0].legend(fontsize=8, frameon=False)
    figure.suptitle(f"{title}: main with the 95 % intervals of each policy", fontsize=11)
    save_figure(figure, file)


def _draw_variant(
    panel: Axes, axis: Axis, variant: VariantCurves, label: str, color: str, style: LineStyleType
) -> None:
    mean, places = variant.summary.mean, variant.places
    is_point = len(places) == 1
    if variant.summary.runs > 1:
        for curve in variant.curves:
            marker = "." if len(curve.values) == 1 else None
            panel.plot(*_points_of(curve, axis), color=color, linewidth=0.6, alpha=0.5, marker=marker, zorder=2)
        if is_point:
            panel.plot([*places, *places], [*mean.low95, *mean.high95], color=color, linewidth=5, alpha=0.3)
        else:
            panel.fill_between(places, mean.low95, mean.high95, color=color, alpha=0.15, linewidth=0)
    marker = "o" if is_point else None
    panel.plot(places, mean.value, color=color, linestyle=style, linewidth=2, marker=marker, label=label, zorder=3)


def _points_of(curve: Curve, axis: Axis) -> tuple[Floats, Floats]:
    """Return a curve's points; of many, no more than show how it runs."""
    over = curve.over(axis)
    if len(over) <= _MOST_POINTS:
        return over, curve.values
    places = np.linspace(over[0], over[-1], _MOST_POINTS)
    return places, curve.at(axis, places)
