"""A ranking while it runs: a status line, and standings that a terminal redraws."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from connectfour.matches.records import PLAYER_FAULTS
from connectfour.standings.display import standings_table
from connectfour.standings.leaderboard import standings
from connectfour.tournament.plan import Limits
from connectfour.tournament.tournament import Progress

_LINES_AROUND_STANDINGS = 8
_FEWEST_STANDINGS = 3


def status_line(progress: Progress, limits: Limits) -> str:
    """Return the state of a ranking as one line."""
    games = f"{len(progress.log.games):,}" + (f"/{limits.matches:,}" if limits.matches else "")
    terminations = progress.log.terminations
    kinds: tuple[str, ...] = (*PLAYER_FAULTS, "infrastructure")
    errors = {kind: terminations[kind] for kind in kinds if terminations[kind]}
    errors |= {f"retried: {kind}": count for kind, count in progress.lost.items()}
    listed = ", ".join(f"{count:,} {kind}" for kind, count in errors.items()) or "no errors"
    speed = f"{progress.games_per_second:,.0f} games/s, {_format_minutes(progress.seconds)} elapsed"
    left = f", {_format_minutes(progress.seconds_left)} left" if progress.seconds_left else ""
    return f"{games} games, {progress.pending:,} pending, {listed}, {speed}{left}"


def last_line(progress: Progress, limits: Limits) -> str:
    """Return the state of a ranking at its end, with the time that its games and its ratings took."""
    games = progress.seconds - progress.rating_seconds
    return (
        f"{status_line(progress, limits)}; {games:.1f} s for games, {progress.rating_seconds:.1f} s for log and ratings"
    )


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
