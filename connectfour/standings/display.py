"""Standings and faults as tables on a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE
from rich.table import Table

from connectfour.match_log.log import MatchLog
from connectfour.matches.records import PLAYER_FAULTS
from connectfour.standings.leaderboard import DEVIATIONS_OF_95_PERCENT, Order, Standing


def standings_table(
    lines: Sequence[Standing],
    *,
    title: str = "leaderboard",
    most: int | None = None,
    order: Order = "posterior",
) -> Table:
    """Return the leaderboard of the ``most`` strongest players.

    Its columns are the rating by which ``lines`` are sorted with its 95 % interval, the probability of being better
    than the next player, the games, points per game by seat, and the share of solved positions in which the best
    action keeps the result.
    """
    table = Table(title=title, box=SIMPLE, padding=(0, 1, 0, 0))
    with_faults = any(line.faults for line in lines)
    rating = "skill" if order == "posterior" else "ts mu"
    for name in ("", "player", rating, "± 95 %", "> next", "won/drawn/lost", "1st", "2nd", "graded"):
        table.add_column(name, justify="left" if name == "player" else "right", no_wrap=True)
    if with_faults:
        table.add_column("faults", justify="right")
    for line in lines[:most]:
        mu, sigma = line.trueskill if order == "trueskill" and line.trueskill else (line.mu, line.sigma)
        table.add_row(
            str(line.rank),
            f"{line.name} (set aside)" if line.set_aside else line.name,
            f"{mu:.1f}",
            f"{DEVIATIONS_OF_95_PERCENT * sigma:.1f}",
            _format_share(line.p_better_than_next),
            str(line.scores.total),
            _format_share(line.scores.first.share),
            _format_share(line.scores.second.share),
            _format_share(line.player.graded, digits=3),
            *([str(line.faults)] if with_faults else []),
        )
    if most is not None and len(lines) > most:
        table.caption = f"and {len(lines) - most} more"
    return table


def _format_share(value: float | None, digits: int = 2) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def fault_table(log: MatchLog, *, title: str = "games lost by faults") -> Table:
    """Return the number of faults of each player by kind."""
    table = Table(title=title)
    table.add_column("player", no_wrap=True)
    for kind in PLAYER_FAULTS:
        table.add_column(kind.replace("_", " "), justify="right")
    for name in sorted(log.faults):
        table.add_row(name, *(str(log.faults[name][kind]) for kind in PLAYER_FAULTS))
    table.add_section()
    totals = (sum(faults[kind] for faults in log.faults.values()) for kind in PLAYER_FAULTS)
    table.add_row("all", *map(str, totals))
    return table
