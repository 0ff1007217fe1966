"""Tables computed from a log of games alone: the same log gives the same bytes."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from connectfour.games.result import SeatScores
from connectfour.match_log.lines import RankedPlayer
from connectfour.match_log.log import MatchLog
from connectfour.rating.posterior import JointPosterior, joint_posterior
from connectfour.rating.sequential import SequentialRatings, sequential_ratings
from connectfour.runs.folder import RunFolder
from connectfour.system.files import write_atomically

_DEVIATIONS_OF_95_PERCENT = 1.959964


@dataclass(frozen=True)
class Standing:
    """One player's place on the leaderboard.

    Attributes:
        rank: 1 is the strongest.
        player: as in the log.
        mu, sigma: skill and its standard deviation in the joint posterior of all games, in TrueSkill units; the mean
            skill of all players is 25.
        p_better_than_next: probability of a higher skill than the next player's; None for the last.
        scores: the games that count, by seat.
        faults: number of games lost by a fault.
        set_aside: why the player plays no further games; empty if it still plays.
    """

    rank: int
    player: RankedPlayer
    mu: float
    sigma: float
    p_better_than_next: float | None
    scores: SeatScores
    faults: int
    set_aside: str = ""

    @property
    def name(self) -> str:
        """The player's name."""
        return self.player.name

    @property
    def low95(self) -> float:
        """Lower end of the 95 % interval of the skill."""
        return self.mu - _DEVIATIONS_OF_95_PERCENT * self.sigma

    @property
    def high95(self) -> float:
        """Upper end of the 95 % interval of the skill."""
        return self.mu + _DEVIATIONS_OF_95_PERCENT * self.sigma

    @property
    def conservative(self) -> float:
        """A lower bound that the skill almost surely exceeds: mu - 3 sigma."""
        return self.mu - 3 * self.sigma

    def row(self) -> dict[str, str | float | None]:
        """Return the cells of ``leaderboard.csv`` by column.

        ``win_rate_first`` and ``win_rate_second`` are points per game by seat, a draw giving half a point; None
        without games.
        """
        first, second, total = self.scores.first, self.scores.second, self.scores.total
        return {
            "rank": self.rank,
            "player": self.name,
            "kind": self.player.kind,
            "iteration": self.player.iteration,
            "mu": self.mu,
            "sigma": self.sigma,
            "conservative": self.conservative,
            "low95": self.low95,
            "high95": self.high95,
            "p_better_than_next": self.p_better_than_next,
            "games": total.games,
            "wins": total.wins,
            "draws": total.draws,
            "losses": total.losses,
            "win_rate_first": first.share,
            "win_rate_second": second.share,
            "faults": self.faults,
            "graded": self.player.graded,
            "wins_first": first.wins,
            "draws_first": first.draws,
            "losses_first": first.losses,
            "wins_second": second.wins,
            "draws_second": second.draws,
            "losses_second": second.losses,
            "set_aside": self.set_aside,
        }


@dataclass(frozen=True)
class Leaderboard:
    """Everyone's standing, and the sequential ratings of the same games.

    Attributes:
        standings: the strongest first.
        sequential: TrueSkill in the order of the log.
    """

    standings: list[Standing]
    sequential: SequentialRatings


def posterior_of(log: MatchLog, start: JointPosterior | None = None) -> JointPosterior:
    """Return the joint posterior of everyone in the log; ``start`` as in ``joint_posterior``."""
    return joint_posterior(sorted(log.players), log.scores, start)


def standings(log: MatchLog, posterior: JointPosterior) -> list[Standing]:
    """Return everyone's standing in ``posterior``, the strongest first."""
    mus, sigmas = posterior.mu, posterior.sigma
    order = [posterior.players.index(name) for name in posterior.order]
    found = []
    for rank, (row, next_row) in enumerate(zip(order, [*order[1:], None], strict=True), start=1):
        name = posterior.players[row]
        found.append(
            Standing(
                rank=rank,
                player=log.players[name],
                mu=float(mus[row]),
                sigma=float(sigmas[row]),
                p_better_than_next=None if next_row is None else posterior.probability_better(row, next_row),
                scores=log.seat_scores.get(name, SeatScores()),
                faults=log.faults.get(name, Counter()).total(),
                set_aside=log.set_aside.get(name, ""),
            )
        )
    return found


def write_tables(log: MatchLog, folder: Path) -> Leaderboard:
    """Write ``leaderboard.csv`` and ``crosstable.csv`` of a log with players into ``folder``.

    The last two columns of the leaderboard are sequential TrueSkill, in the order of the log.
    """
    posterior = posterior_of(log)
    leaderboard = Leaderboard(standings(log, posterior), sequential_ratings(log, posterior.margin))
    _write_csv(RunFolder(folder).leaderboard, [_leaderboard_row(each, leaderboard) for each in leaderboard.standings])
    _write_csv(
        RunFolder(folder).crosstable, [_crosstable_row(each, leaderboard, log) for each in leaderboard.standings]
    )
    return leaderboard


def _leaderboard_row(standing: Standing, leaderboard: Leaderboard) -> dict[str, str | float | None]:
    rating = leaderboard.sequential.by_player[standing.name]
    return {**standing.row(), "trueskill_mu": rating.mu, "trueskill_sigma": rating.sigma}


def _crosstable_row(standing: Standing, leaderboard: Leaderboard, log: MatchLog) -> dict[str, str | float | None]:
    scores = {other.name: log.score(standing.name, other.name) for other in leaderboard.standings}
    cells = {name: str(score) if score.games else "" for name, score in scores.items()}
    return {"wins/draws/losses of the row": standing.name, **cells}


def _write_csv(file: Path, rows: Sequence[Mapping[str, str | float | None]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(rows[0])
    writer.writerows([_format_cell(value) for value in row.values()] for row in rows)
    write_atomically(file, text.getvalue().encode())


def _format_cell(value: str | float | None) -> str:
    if value is None:
        return ""
    return f"{value:.4f}" if isinstance(value, float) else str(value)
