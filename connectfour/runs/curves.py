"""Learning curves from ``progress.csv``: ``learning.png`` of a run, and those of several runs over each other."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator
from numpy.typing import NDArray

from connectfour.runs.progress import number_in, read_rows
from connectfour.settings.schema import Metric
from connectfour.system.files import write_atomically

_COMPARED = {
    "value_preserving": "moves that keep the result\n(solved positions, dev)",
    "league_size": "league size",
}
_PANELS = {
    "value_preserving": _COMPARED["value_preserving"],
    "win_rate": "points per game\nagainst the pool",
    "league_size": _COMPARED["league_size"],
}
_AXES = {"env_steps": "env steps", "minutes": "minutes"}

# Colors that can be distinguished with any color vision (Okabe and Ito 2008). There are 7 of them and 4 styles, so 28
# curves differ.
_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
_STYLES = ("-", "--", "-.", ":")
_LEGEND_COLUMNS = 3


@dataclass(frozen=True)
class _Run:
    """What is drawn of a run: the columns of its progress by name, NaN where there is no figure."""

    label: str
    columns: Mapping[str, NDArray[np.float64]]

    @classmethod
    def read(cls, label: str, progress_file: Path, names: Sequence[str]) -> _Run:
        rows = read_rows(progress_file)
        return cls(label, {name: np.array([number_in(row, name) for row in rows]) for name in (*names, *_AXES)})

    def curve(self, name: str, over: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the points of a curve."""
        values = self.columns[name]
        drawn = ~np.isnan(values)
        if name == "value_preserving":
            # Rows repeat the latest grade; only new ones are points of the curve.
            drawn[1:] &= np.diff(values) != 0
        return self.columns[over][drawn], values[drawn]


def draw_learning(progress_file: Path, picture: Path, metrics: Sequence[Metric]) -> None:
    """Draw accuracy, win rate, league size and the learner's own curves over env steps and over minutes.

    If the file is missing or has no rows, nothing is drawn.

    Raises:
        RunFolderError: the file is no table of iterations.
    """
    wanted = {**_PANELS, **{metric.column: metric.axis for metric in metrics if metric.axis}}
    run = _Run.read(progress_file.parent.name, progress_file, tuple(wanted))
    env_steps = run.columns["env_steps"]
    if not len(env_steps):
        return
    figure, axes = _draw([run], wanted)
    last = run.columns["value_preserving"][~np.isnan(run.columns["value_preserving"])]
    if len(last):
        for panel in axes[0]:
            panel.set_title(f"last {last[-1]:.3f}", fontsize=9, loc="right")
    figure.suptitle(f"{run.label}: {len(env_steps)} iterations, {env_steps[-1]:,.0f} env steps")
    _save(figure, picture)


def draw_comparison(progress_files: Mapping[str, Path], picture: Path) -> None:
    """Draw accuracy and league size of several runs over each other, over env steps and over minutes.

    The win rate is not drawn: each run has its own pool, and a score against one says nothing about another.

    Args:
        progress_files: the ``progress.csv`` of each run, which has rows, by the run's label.
        picture: the PNG file to write.

    Raises:
        RunFolderError: a file is no table of iterations.
    """
    runs = [_Run.read(label, file, tuple(_COMPARED)) for label, file in progress_files.items()]
    figure, axes = _draw(runs, _COMPARED, inches_below=0.25 * (1 + len(runs) // _LEGEND_COLUMNS))
    lines, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(lines, labels, loc="outside lower center", ncols=_LEGEND_COLUMNS, handlelength=4, fontsize=9)
    _save(figure, picture)


def _draw(
    runs: Sequence[_Run], wanted: Mapping[str, str], inches_below: float = 0.0
) -> tuple[Figure, Sequence[Sequence[Axes]]]:
    """Draw a row of panels for each column of ``wanted``, by their labels, of which a run has figures."""
    panels = {name: label for name, label in wanted.items() if any(len(run.curve(name, name)[0]) for run in runs)}
    figure = Figure(figsize=(11, 2.5 * len(panels) + inches_below), layout="constrained")
    axes = figure.subplots(len(panels), len(_AXES), sharex="col", sharey="row", squeeze=False)
    width = 1.3 if len(runs) == 1 else 1.7
    for line, (name, label) in enumerate(panels.items()):
        for column, over in enumerate(_AXES):
            panel = axes[line, column]
            for number, run in enumerate(runs):
                color, style = _COLORS[number % len(_COLORS)], _STYLES[number % len(_STYLES)]
                x, y = run.curve(name, over)
                marker = "." if len(x) == 1 else ""
                panel.plot(x, y, color=color, linestyle=style, marker=marker, linewidth=width, label=run.label)
            panel.grid(alpha=0.3)
            panel.margins(x=0.01)
        axes[line, 0].set_ylabel(label)
        if name == "league_size":
            axes[line, 0].yaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    for column, label in enumerate(_AXES.values()):
        axes[-1, column].set_xlabel(label)
    axes[-1, 0].xaxis.set_major_formatter(EngFormatter(sep=""))
    return figure, axes.tolist()


def _save(figure: Figure, picture: Path) -> None:
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=110)
    write_atomically(picture, image.getvalue())
