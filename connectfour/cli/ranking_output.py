"""What the commands that compare players print."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from connectfour.games.result import SeatScores
from connectfour.system.observer import plain_console
from connectfour.system.tables import Cell

if TYPE_CHECKING:
    from connectfour.grading.grade import Grade
    from connectfour.rehearsal.rehearsal import Rehearsal, RehearsalResult, RehearsedRanking
    from connectfour.standings.leaderboard import Order
    from connectfour.tournament.session import Ranking


_VERDICTS = ("value_preserving", "optimal")

_RATINGS: dict[Order, str] = {
    "posterior": "skill: from the joint posterior of all games, in TrueSkill units, 25 on average.",
    "trueskill": "ts mu: trueskill_mu, rated by TrueSkill game by game, in the order of the log, on which it depends.",
}
_LEGEND = """\
{}
> next: probability of being better than the next player, in the joint posterior. 1st, 2nd: points per game by seat.
graded: share of solved positions in which the best action keeps the result."""

_ENDS = {
    "stalled": "Stopped: more games of this kind would not make the skills more certain.",
    "share": "Stopped at {:g} of the planned games; those that were still under way do not count.",
    "minutes": "Stopped after {:g} minutes of play; games that were still under way do not count.",
}


def match_table(player: str, opponent: str, scores: SeatScores) -> Table:
    """Return the score of ``player`` against ``opponent`` by seat."""
    table = Table(title=f"{player} against {opponent}", caption="score: points per game, with its 95 % interval")
    table.add_column("moving")
    for column in ("games", "wins", "draws", "losses", "score"):
        table.add_column(column, justify="right", no_wrap=True)
    for seat, score in scores.by_seat.items():
        counts = map(str, (score.games, score.wins, score.draws, score.losses))
        table.add_row(seat, *counts, _share(score.share, score.interval))
    return table


def match_rows(game: str, player: str, opponent: str, scores: SeatScores) -> list[dict[str, Cell]]:
    """Return the same as the rows of a CSV file."""
    rows: list[dict[str, Cell]] = []
    for seat, score in scores.by_seat.items():
        low, high = score.interval or (None, None)
        rows.append(
            {
                "game": game,
                "player": player,
                "opponent": opponent,
                "seat": seat,
                "games": score.games,
                "wins": score.wins,
                "draws": score.draws,
                "losses": score.losses,
                "score": score.share,
                "low95": low,
                "high95": high,
            }
        )
    return rows


def grade_table(title: str, grades: Mapping[str, Grade]) -> Table:
    """Return the grades of a player by part of the positions."""
    table = Table(title=title, caption="share of positions, with its 95 % interval")
    for column in ("", "positions", "value-preserving", "optimal"):
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    for part, grade in grades.items():
        shares = grade.to_json()
        cells = (_share(shares[f"{verdict}_share"], shares[f"{verdict}_interval"]) for verdict in _VERDICTS)
        table.add_row(part, str(grade.positions), *cells)
    return table


def grade_rows(game: str, player: str, positions: str, grades: Mapping[str, Grade]) -> list[dict[str, Cell]]:
    """Return the same as the rows of a CSV file; ``positions`` says which were graded."""
    rows = []
    for part, grade in grades.items():
        row: dict[str, Cell] = {
            "game": game,
            "player": player,
            "positions": positions,
            "part": part,
            "count": grade.positions,
        }
        shares = grade.to_json()
        for verdict in _VERDICTS:
            row[verdict] = shares[f"{verdict}_share"]
            row[f"{verdict}_low95"], row[f"{verdict}_high95"] = shares[f"{verdict}_interval"]
        rows.append(row)
    return rows


def _share(share: float | None, interval: tuple[float, float] | None) -> str:
    return "-" if share is None or interval is None else "{:.3f} [{:.3f}, {:.3f}]".format(share, *interval)


def print_ranking(ranking: Ranking, console: Console | None = None) -> None:
    """Print the leaderboard, the faults, and notes on a ranking."""
    from connectfour.standings.display import fault_table, standings_table

    console = console or plain_console()
    log = ranking.log
    console.print(standings_table(ranking.standings, title=ranking.title, order=ranking.order))
    if log.faults:
        console.print(fault_table(log))
    sentences = [f"{name} was set aside: {reason}." for name, reason in log.set_aside.items()]
    if log.ended and log.ended.reason in _ENDS:
        sentences.append(_ENDS[log.ended.reason].format(log.ended.limit))
    if log.repeated:
        sentences.append(f"{len(log.repeated):,} games repeat an earlier game and do not count.")
    if ranking.unrated:
        sentences.append(
            f"The package trueskill could not rate {len(ranking.unrated):,} games: trueskill_mu and trueskill_sigma "
            "leave them out; everything else counts them."
        )
    for text in (*sentences, _LEGEND.format(_RATINGS[ranking.order]), _files_of(ranking)):
        console.print(text, soft_wrap=True, highlight=False)


def _files_of(ranking: Ranking) -> str:
    folder = ranking.folder
    tables = f"{folder}/{folder.leaderboard.name}, {folder.crosstable.name}, {folder.leaderboard_picture.name}"
    return f"Tables and picture: {tables}; every game: {folder}/{folder.match_log.name}"


def print_rehearsal(
    rehearsal: Rehearsal, result: RehearsalResult, figure: Path | None, console: Console | None = None
) -> None:
    """Print accuracy by number of games and, for a single ranking, its order and faults."""
    from connectfour.standings.display import fault_table

    console = console or plain_console()
    if len(rehearsal.pairings) * len(rehearsal.seeds) == 1:
        (ranking,) = result.rankings
        console.print(_truth_table(ranking))
        console.print(fault_table(ranking.log))
    if result.interrupted:
        return
    seeds = len(rehearsal.seeds)
    mean = f", mean of {seeds} seeds" if seeds > 1 else ""
    console.print(f"Share of pairs in the right order, {rehearsal.agents} agents{mean}:", highlight=False)
    console.print(_accuracy_table(result))
    if figure:
        console.print(f"Accuracy by number of games: {figure}", highlight=False, soft_wrap=True)


def _truth_table(ranking: RehearsedRanking) -> Table:
    """Return the recovered order next to the true one."""
    from connectfour.standings.leaderboard import posterior_of, standings

    levels = {agent.name: agent.level for agent in ranking.agents}
    truth = sorted(levels, key=lambda name: -levels[name])
    table = Table("rank", "agent", "true rank", "level", "skill", "95 %", "games", title="recovered order")
    for line in standings(ranking.log, posterior_of(ranking.log)):
        true_rank, level = str(truth.index(line.name) + 1), f"{levels[line.name]:.1f}"
        interval = f"{line.low95:.1f} to {line.high95:.1f}"
        table.add_row(
            str(line.rank), line.name, true_rank, level, f"{line.mu:.1f}", interval, str(line.scores.total.games)
        )
    return table


def _accuracy_table(result: RehearsalResult) -> Table:
    accuracies = result.accuracies
    table = Table()
    for column in ("games", *accuracies):
        table.add_column(column, justify="right")
    for games in next(iter(accuracies.values())):
        table.add_row(f"{games:,}", *(f"{fmean(by_games[games]):.3f}" for by_games in accuracies.values()))
    return table
