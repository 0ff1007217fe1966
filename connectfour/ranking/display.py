"""What a ranking shows while it runs, and what it leaves: a line of status, standings, tables, pictures."""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
from matplotlib.figure import Figure
from rich.box import SIMPLE
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from connectfour.files import write_atomically
from connectfour.matches.records import PLAYER_FAULTS
from connectfour.ranking.leaderboard import Standing, against, standings
from connectfour.ranking.matchlog import Matches
from connectfour.ranking.tournament import Limits, Progress

_SECONDS_BETWEEN_LINES = 5.0
_SECONDS_BETWEEN_STANDINGS = 2.0
_COLOURS = {"heuristic": "#999999", "snapshot": "#0072b2", "main": "#d55e00"}
_OTHER_COLOUR = "#009e73"


def status_line(progress: Progress, limits: Limits) -> str:
    """Return where a ranking is, as one line."""
    done = len(progress.matches.games)
    total = f"/{limits.matches:,}" if limits.matches else ""
    terminations = progress.matches.terminations
    kinds: tuple[str, ...] = (*PLAYER_FAULTS, "infrastructure")
    errors = {kind: terminations[kind] for kind in kinds if terminations[kind]}
    errors |= {f"replayed: {kind}": count for kind, count in progress.lost.items()}
    listed = ", ".join(f"{count:,} {kind}" for kind, count in errors.items()) or "no errors"
    left = "" if progress.seconds_left is None else f", {_clock(progress.seconds_left)} left"
    speed = progress.games_per_second
    return f"{done:,}{total} games, {progress.pending:,} pending, {listed}, {speed:,.0f} games/s{left}"


def _clock(seconds: float) -> str:
    return f"{int(seconds // 60)}:{int(seconds % 60):02d}"


def standings_table(lines: Sequence[Standing], *, title: str = "leaderboard", most: int | None = None) -> Table:
    """Return a leaderboard for a terminal, of the ``most`` strongest players.

    Columns are the skill with its 95 % interval, the probability of being better than the next player, games, the share
    of points by seat, and the share of solved positions in which the best column keeps the result.
    """
    table = Table(title=title, box=SIMPLE, padding=(0, 1, 0, 0))
    with_faults = any(line.faults for line in lines)
    for name in ("", "player", "skill", "± 95 %", "> next", "won/drawn/lost", "1st", "2nd", "graded"):
        table.add_column(name, justify="left" if name == "player" else "right", no_wrap=True)
    if with_faults:
        table.add_column("faults", justify="right")
    for line in lines[:most]:
        table.add_row(
            str(line.rank),
            f"{line.player} (aside)" if line.set_aside else line.player,
            f"{line.mu:.1f}",
            f"{line.high95 - line.mu:.1f}",
            _share(line.p_better_than_next),
            f"{line.wins}/{line.draws}/{line.losses}",
            _share(line.win_rate_first),
            _share(line.win_rate_second),
            _share(line.graded, 3),
            *([str(line.faults)] if with_faults else []),
        )
    if most is not None and len(lines) > most:
        table.caption = f"and {len(lines) - most} more"
    return table


def _share(value: float | None, digits: int = 2) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def fault_table(matches: Matches, *, title: str = "games lost by faults") -> Table:
    """Return the faults of each player by kind."""
    table = Table(title=title)
    table.add_column("player", no_wrap=True)
    for kind in PLAYER_FAULTS:
        table.add_column(kind.replace("_", " "), justify="right")
    for name in sorted(matches.faults):
        table.add_row(name, *(str(matches.faults[name][kind]) for kind in PLAYER_FAULTS))
    total = {kind: sum(faults[kind] for faults in matches.faults.values()) for kind in PLAYER_FAULTS}
    table.add_section()
    table.add_row("all", *(str(total[kind]) for kind in PLAYER_FAULTS))
    return table


class RankingDisplay:
    """Shows a ranking on a console: status and standings in place on a terminal, else a line every few seconds."""

    def __init__(self, console: Console, limits: Limits) -> None:
        """Show progress towards ``limits``."""
        self._console, self._limits = console, limits
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None
        self._next = 0.0

    def __enter__(self) -> Self:
        """Open the display."""
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Close it; on a terminal the last standings are wiped, for the final ones follow."""
        if self._live:
            self._live.update(Text(""), refresh=True)
            self._live.stop()

    def show(self, progress: Progress) -> None:
        """Take in a batch."""
        now = time.monotonic()
        if now < self._next:
            return
        line = status_line(progress, self._limits)
        if self._live:
            self._next = now + _SECONDS_BETWEEN_STANDINGS
            table = standings_table(
                standings(progress.matches, progress.posterior), title="", most=max(3, self._console.height - 8)
            )
            self._live.update(Group(table, Text(line)), refresh=True)
        else:
            self._next = now + _SECONDS_BETWEEN_LINES
            self._console.print(line, soft_wrap=True, highlight=False)


def draw_leaderboard(matches: Matches, lines: Sequence[Standing], picture: Path, title: str) -> None:
    """Draw skills with 95 % intervals, and the share of points of everyone against everyone."""
    count = len(lines)
    height = max(3.5, 1.6 + 0.24 * count)
    figure = Figure(figsize=(7.5 + height, height), layout="constrained")
    skills, scores = figure.subplots(1, 2, width_ratios=(7, height))
    rows = np.arange(count)
    for row, line in enumerate(lines):
        colour = _COLOURS.get(line.kind, _OTHER_COLOUR)
        skills.plot([line.low95, line.high95], [row, row], color=colour, linewidth=2)
        skills.plot([line.mu], [row], marker="o", color=colour, markersize=4)
    for kind in dict.fromkeys(line.kind for line in lines):
        skills.plot([], [], marker="o", color=_COLOURS.get(kind, _OTHER_COLOUR), label=kind)
    skills.legend(loc="lower right", fontsize=8)
    skills.set_yticks(rows, [f"{line.rank}  {line.player}" for line in lines], fontsize=7)
    skills.set_ylim(count - 0.5, -0.5)
    skills.set_xlabel("skill (TrueSkill units), with 95 % interval")
    skills.grid(axis="x", alpha=0.3)
    tallies = matches.tallies
    table = np.full((count, count), np.nan)
    for row, line in enumerate(lines):
        for column, other in enumerate(lines):
            tally = against(tallies, line.player, other.player)
            if sum(tally):
                table[row, column] = (tally.wins + tally.draws / 2) / sum(tally)
    image = scores.imshow(table, cmap="RdBu", vmin=0, vmax=1, aspect="equal")
    scores.set_xticks(rows, [str(line.rank) for line in lines], fontsize=6)
    scores.set_yticks(rows, [str(line.rank) for line in lines], fontsize=6)
    scores.set_title("share of points, row against column", fontsize=9)
    scores.set_facecolor("#e8e8e8")
    figure.colorbar(image, ax=scores, shrink=0.6)
    figure.suptitle(title)
    save_figure(figure, picture)


def save_figure(figure: Figure, picture: Path) -> None:
    """Write a picture whole or not at all."""
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=110)
    write_atomically(picture, image.getvalue())
