"""Learning curves of a run: ``learning.png`` from ``progress.csv``."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator

from connectfour.settings.schema import Metric
from connectfour.system.files import write_atomically

_PANELS = {
    "value_preserving": "moves that keep the result\n(solved positions, dev)",
    "win_rate": "points per game\nagainst the pool",
    "league_size": "league size",
}
_AXES = {"env_steps": "env steps", "minutes": "minutes"}
_COLOR = "#0072b2"


def draw_learning(progress_file: Path, picture: Path, metrics: Sequence[Metric]) -> None:
    """Draw accuracy, win rate, league size and the learner's own curves over env steps and over minutes.

    If the file is missing or has no rows, nothing is drawn.
    """
    if not progress_file.is_file():
        return
    with progress_file.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    if not rows:
        return
    wanted = {**_PANELS, **{metric.column: metric.axis for metric in metrics if metric.axis}}
    columns = {name: np.array([float(row.get(name) or "nan") for row in rows]) for name in (*wanted, *_AXES)}
    panels = {name: label for name, label in wanted.items() if not np.isnan(columns[name]).all()}
    figure = Figure(figsize=(11, 2.5 * len(panels)), layout="constrained")
    axes = figure.subplots(len(panels), len(_AXES), sharex="col", sharey="row", squeeze=False)
    for line, (name, label) in enumerate(panels.items()):
        for column, (over, over_label) in enumerate(_AXES.items()):
            panel = axes[line, column]
            drawn = ~np.isnan(columns[name])
            if name == "value_preserving":
                # Rows repeat the latest grade; only new ones are points of the curve.
                drawn &= np.append(True, np.diff(columns[name]) != 0)
            panel.plot(columns[over][drawn], columns[name][drawn], color=_COLOR, linewidth=1.3)
            panel.grid(alpha=0.3)
            panel.margins(x=0.01)
            if column == 0:
                panel.set_ylabel(label)
            if line == len(panels) - 1:
                panel.set_xlabel(over_label)
    last = columns["value_preserving"][~np.isnan(columns["value_preserving"])]
    if len(last):
        for panel in axes[0]:
            panel.set_title(f"last {last[-1]:.3f}", fontsize=9, loc="right")
    axes[-1, 0].xaxis.set_major_formatter(EngFormatter(sep=""))
    axes[list(panels).index("league_size"), 0].yaxis.set_major_locator(MaxNLocator(integer=True))
    figure.suptitle(f"{progress_file.parent.name}: {len(rows)} iterations, {columns['env_steps'][-1]:,.0f} env steps")
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=110)
    write_atomically(picture, image.getvalue())
