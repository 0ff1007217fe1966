"""Tables made from a log of games and from nothing else: the same log gives the same bytes."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from connectfour.files import write_atomically
from connectfour.ranking.matchlog import Matches
from connectfour.ranking.table import LEADERBOARD
from connectfour.ranking.trueskill import JointPosterior, Rating, Tally, joint_posterior, update

_DEVIATIONS_OF_95_PERCENT = 1.959964


@dataclass(frozen=True)
class Standing:
    """A line of ``leaderboard.csv``.

    Attributes:
        rank: 1 is the strongest.
        player, kind, iteration: as in the log.
        mu, sigma: skill and its standard deviation in the joint posterior of all games, in TrueSkill units; the mean of
            all players is put at 25.
        conservative: mu - 3 sigma.
        low95, high95: interval of the skill.
        p_better_than_next: probability of a higher skill than the next player's; None of the last.
        games, wins, draws, losses: games that count.
        win_rate_first, win_rate_second: share of points by seat, a draw being half of one; None without games.
        faults: games lost by a fault.
        graded: share of solved positions in which its best column keeps the result.
        wins_first … losses_second: the games by seat.
        set_aside: why it plays no more.
    """

    rank: int
    player: str
    kind: str
    iteration: int | None
    mu: float
    sigma: float
    conservative: float
    low95: float
    high95: float
    p_better_than_next: float | None
    games: int
    wins: int
    draws: int
    losses: int
    win_rate_first: float | None
    win_rate_second: float | None
    faults: int
    graded: float | None
    wins_first: int
    draws_first: int
    losses_first: int
    wins_second: int
    draws_second: int
    losses_second: int
    set_aside: str = ""


def posterior_of(matches: Matches, start: JointPosterior | None = None) -> JointPosterior:
    """Return the joint posterior of everyone in the log."""
    return joint_posterior(sorted(matches.players), matches.tallies, start)


def standings(matches: Matches, posterior: JointPosterior | None = None) -> list[Standing]:
    """Return the leaderboard, the strongest first; ``posterior`` spares computing it again."""
    if not matches.players:
        return []
    posterior = posterior or posterior_of(matches)
    mus, sigmas = posterior.mu, posterior.sigma
    order = [posterior.players.index(name) for name in posterior.order]
    lines = []
    for rank, row in enumerate(order, start=1):
        name = posterior.players[row]
        mu, sigma = float(mus[row]), float(sigmas[row])
        as_first, as_second = _seats(name, matches.tallies)
        entry = matches.players[name]
        lines.append(
            Standing(
                rank=rank,
                player=name,
                kind=entry.kind,
                iteration=entry.iteration,
                mu=mu,
                sigma=sigma,
                conservative=mu - 3 * sigma,
                low95=mu - _DEVIATIONS_OF_95_PERCENT * sigma,
                high95=mu + _DEVIATIONS_OF_95_PERCENT * sigma,
                p_better_than_next=posterior.probability_better(row, order[rank]) if rank < len(order) else None,
                games=sum(as_first) + sum(as_second),
                wins=as_first.wins + as_second.wins,
                draws=as_first.draws + as_second.draws,
                losses=as_first.losses + as_second.losses,
                win_rate_first=_share(as_first),
                win_rate_second=_share(as_second),
                faults=sum(matches.faults.get(name, {}).values()),
                graded=entry.graded,
                wins_first=as_first.wins,
                draws_first=as_first.draws,
                losses_first=as_first.losses,
                wins_second=as_second.wins,
                draws_second=as_second.draws,
                losses_second=as_second.losses,
                set_aside=matches.set_aside.get(name, ""),
            )
        )
    return lines


def _seats(name: str, tallies: Mapping[tuple[str, str], Tally]) -> tuple[Tally, Tally]:
    """Return a player's games from the first and from the second seat, as it saw them."""
    first = [tally for pair, tally in tallies.items() if pair[0] == name]
    second = [Tally(*reversed(tally)) for pair, tally in tallies.items() if pair[1] == name]
    as_first, as_second = (
        Tally(*map(sum, zip(*seat, strict=True))) if seat else Tally(0, 0, 0) for seat in (first, second)
    )
    return as_first, as_second


def _share(tally: Tally) -> float | None:
    return (tally.wins + tally.draws / 2) / sum(tally) if sum(tally) else None


def sequential_ratings(matches: Matches, margin: float) -> dict[str, Rating]:
    """Return everyone's TrueSkill after all games in the order of the log."""
    ratings = dict.fromkeys(matches.players, Rating())
    for game in matches.games:
        if game.result is not None and matches.counts(game):
            first, second = update(ratings[game.first], ratings[game.second], game.result, margin)
            ratings[game.first], ratings[game.second] = first, second
    return ratings


def write_tables(matches: Matches, folder: Path) -> list[Standing]:
    """Write ``leaderboard.csv`` and ``crosstable.csv`` into ``folder``, and return the leaderboard.

    The last two columns of the first are sequential TrueSkill, in the order of the log.
    """
    posterior = posterior_of(matches)
    lines = standings(matches, posterior)
    sequential = sequential_ratings(matches, posterior.margin)
    columns = [field.name for field in fields(Standing)]
    rows = [[*vars(line).values(), *sequential[line.player]] for line in lines]
    header = [*columns, "trueskill_mu", "trueskill_sigma"]
    _write_csv(folder / LEADERBOARD, [header, *([_cell(value) for value in row] for row in rows)])
    names = [line.player for line in lines]
    tallies = matches.tallies
    table = [[name, *(_against(tallies, name, other) for other in names)] for name in names]
    _write_csv(folder / "crosstable.csv", [["wins/draws/losses of the row", *names], *table])
    return lines


def _cell(value: str | float | None) -> str:
    if value is None:
        return ""
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def against(tallies: Mapping[tuple[str, str], Tally], name: str, other: str) -> Tally:
    """Return the games of ``name`` against ``other`` from both seats, as ``name`` saw them."""
    as_first = tallies.get((name, other), Tally(0, 0, 0))
    as_second = tallies.get((other, name), Tally(0, 0, 0))
    return Tally(as_first.wins + as_second.losses, as_first.draws + as_second.draws, as_first.losses + as_second.wins)


def _against(tallies: Mapping[tuple[str, str], Tally], name: str, other: str) -> str:
    tally = against(tallies, name, other)
    return "/".join(map(str, tally)) if sum(tally) else ""


def _write_csv(file: Path, rows: Sequence[Sequence[str]]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    write_atomically(file, text.getvalue().encode())
