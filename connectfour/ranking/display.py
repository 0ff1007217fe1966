"""A ranking on a terminal: a status line, standings and faults as tables, and both together while it runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.box import SIMPLE
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from connectfour.matches.records import PLAYER_FAULTS
from connectfour.ranking.leaderboard import Standing, standings
from connectfour.ranking.match_log import MatchLog
from connectfour.ranking.plan import Limits
from connectfour.ranking.tournament import Progress

_LINES_AROUND_STANDINGS = 8
_FEWEST_STANDINGS = 3


def status_line(progress: Progress, limits: Limits) -> str:
    """Return the state of a ranking as one line."""
    games = f"{len(progress.log.games):,}" + (f"/{limits.matches:,}" if limits.matches else "")
    terminations = progress.log.terminations
    kinds: tuple[str, ...] = (*PLAYER_FAULTS, "infrastructure")
    errors = {kind: terminations[kind] for kind in kinds if terminations[kind]}
    errors |= {f"replayed: {kind}": count for kind, count in progress.lost.items()}
    listed = ", ".join(f"{count:,} {kind}" for kind, count in errors.items()) or "no errors"
    speed = f"{progress.games_per_second:,.0f} games/s"
    left = f", {_format_minutes(progress.seconds_left)} left" if progress.seconds_left else ""
    return f"{games} games, {progress.pending:,} pending, {listed}, {speed}{left}"


def _format_minutes(seconds: float) -> str:
    return f"{int(seconds // 60)}:{int(seconds % 60):02d}"


@dataclass(frozen=True)
class LiveRanking:
    """A running ranking as a terminal shows it: as many standings as fit, and the status line."""

    progress: Progress
    limits: Limits

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it."""
        most = max(_FEWEST_STANDINGS, console.height - _LINES_AROUND_STANDINGS)
        yield standings_table(standings(self.progress.log, self.progress.posterior), title="", most=most)
        yield Text(status_line(self.progress, self.limits))


def standings_table(lines: Sequence[Standing], *, title: str = "leaderboard", most: int | None = None) -> Table:
    """Return the leaderboard of the ``most`` strongest players.

    Its columns are the skill with its 95 % interval, the probability of being better than the next player, the games,
    points per game by seat, and the share of solved positions in which the best column keeps the result.
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
            f"{line.name} (set aside)" if line.set_aside else line.name,
            f"{line.mu:.1f}",
            f"{line.high95 - line.mu:.1f}",
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
