"""Picture of a rehearsal's accuracy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

from matplotlib.figure import Figure

from connectfour.standings.figures import save_figure
from connectfour.tournament.pairing import Pairing

_COLORS: dict[Pairing, str] = {"thompson": "#0072b2", "round_robin": "#d55e00", "random": "#999999"}


def draw_accuracy(
    accuracies: Mapping[Pairing, Mapping[int, Sequence[float]]], file: Path, *, agents: int, seeds: int
) -> None:
    """Draw the share of pairs in the right order against the number of games, one curve per pairing scheme.

    Args:
        accuracies: one accuracy per seed, by scheme and number of games.
        file: the PNG to write; its folder is created if necessary.
        agents: number of agents, for the title.
        seeds: number of seeds, for the title.
    """
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for pairing, by_games in accuracies.items():
        games, found = list(by_games), list(by_games.values())
        axes.plot(games, [fmean(each) for each in found], marker="o", color=_COLORS[pairing], label=pairing)
        lowest, highest = [min(each) for each in found], [max(each) for each in found]
        axes.fill_between(games, lowest, highest, color=_COLORS[pairing], alpha=0.1, linewidth=0)
    axes.set_xscale("log")
    axes.set_xlabel("games")
    axes.set_ylabel("share of pairs in the right order")
    axes.set_title(f"{agents} agents with known levels, {seeds} seeds: mean and range")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    file.parent.mkdir(parents=True, exist_ok=True)
    save_figure(figure, file)
