"""Pictures of rankings as PNG files."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from connectfour.match_log.log import MatchLog
from connectfour.standings.leaderboard import Standing
from connectfour.system.files import write_atomically

_KIND_COLORS = {"heuristic": "#999999", "snapshot": "#0072b2", "main": "#d55e00"}
_OTHER_KIND_COLOR = "#009e73"


def draw_leaderboard(log: MatchLog, lines: Sequence[Standing], file: Path, title: str) -> None:
    """Draw every player's skill with its 95% interval, and points per game between all pairs."""
    height = max(3.5, 1.6 + 0.24 * len(lines))
    figure = Figure(figsize=(7.5 + height, height), layout="constrained")
    skills, scores = figure.subplots(1, 2, width_ratios=(7, height))
    _draw_skills(skills, lines)
    _draw_scores(scores, log, lines)
    figure.suptitle(title)
    save_figure(figure, file)


def _draw_skills(axes: Axes, lines: Sequence[Standing]) -> None:
    for row, line in enumerate(lines):
        color = _KIND_COLORS.get(line.player.kind, _OTHER_KIND_COLOR)
        axes.plot([line.low95, line.high95], [row, row], color=color, linewidth=2)
        axes.plot([line.mu], [row], marker="o", color=color, markersize=4)
    for kind in dict.fromkeys(line.player.kind for line in lines):
        axes.plot([], [], marker="o", color=_KIND_COLORS.get(kind, _OTHER_KIND_COLOR), label=kind)
    axes.legend(loc="lower right", fontsize=8)
    axes.set_yticks(range(len(lines)), [f"{line.rank}  {line.name}" for line in lines], fontsize=7)
    axes.set_ylim(len(lines) - 0.5, -0.5)
    axes.set_xlabel("skill (TrueSkill units) with 95 % interval")
    axes.grid(axis="x", alpha=0.3)


def _draw_scores(axes: Axes, log: MatchLog, lines: Sequence[Standing]) -> None:
    shares = [[log.score(line.name, other.name).share for other in lines] for line in lines]
    image = axes.imshow(np.array(shares, dtype=np.float64), cmap="RdBu", vmin=0, vmax=1, aspect="equal")
    ranks = [str(line.rank) for line in lines]
    axes.set_xticks(range(len(lines)), ranks, fontsize=6)
    axes.set_yticks(range(len(lines)), ranks, fontsize=6)
    axes.set_title("points per game, row against column", fontsize=9)
    axes.set_facecolor("#e8e8e8")
    axes.figure.colorbar(image, ax=axes, shrink=0.6)


def save_figure(figure: Figure, file: Path) -> None:
    """Write a figure as PNG."""
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=110)
    write_atomically(file, image.getvalue())
