"""Tables computed from a log of games alone: the same log gives the same bytes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from trueskill import Rating

from connectfour.games.result import SeatScores
from connectfour.match_log.lines import RankedPlayer
from connectfour.match_log.log import MatchLog
from connectfour.rating.posterior import JointPosterior, joint_posterior
from connectfour.rating.sequential import SequentialRatings, sequential_ratings
from connectfour.runs.folder import RunFolder
from connectfour.system.tables import Cell, write_csv

DEVIATIONS_OF_95_PERCENT = 1.959964
"""Half of a 95 % interval, in standard deviations."""

Order = Literal["posterior", "trueskill"]
"""What a leaderboard is sorted by: the skills of the joint posterior, or the sequential ratings."""


@dataclass(frozen=True)
class Standing:
    """One player's place on the leaderboard.

    Attributes:
        rank: 1 is the strongest, in the order of the leaderboard.
        player: as in the log.
        mu, sigma: skill and its standard deviation in the joint posterior of all games, in TrueSkill units; the mean
            skill of all players is 25.
        p_better_than_next: probability, in the joint posterior, of a higher skill than the next player's on the
            leaderboard; None for the last.
        scores: the games that count, by seat.
        faults: number of games lost by a fault.
        set_aside: why the player plays no further games; empty if it still plays.
        trueskill: the sequential rating (mu, sigma) after the same games; None if it was not computed.
    """

    rank: int
    player: RankedPlayer
    mu: float
    sigma: float
    p_better_than_next: float | None
    scores: SeatScores
    faults: int
    set_aside: str = ""
    trueskill: Rating | None = None

    @property
    def name(self) -> str:
        """The player's name."""
        return self.player.name

    @property
    def low95(self) -> float:
        """Lower end of the 95 % interval of the skill."""
        return self.mu - DEVIATIONS_OF_95_PERCENT * self.sigma

    @property
    def high95(self) -> float:
        """Upper end of the 95 % interval of the skill."""
        return self.mu + DEVIATIONS_OF_95_PERCENT * self.sigma

    @property
    def conservative(self) -> float:
        """A lower bound that the skill almost surely exceeds: mu - 3 sigma."""
        return self.mu - 3 * self.sigma

    def row(self) -> dict[str, Cell]:
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
            "trueskill_mu": self.trueskill and self.trueskill.mu,
            "trueskill_sigma": self.trueskill and self.trueskill.sigma,
        }


@dataclass(frozen=True)
class Leaderboard:
    """Everyone's standing.

    Attributes:
        standings: the strongest first.
        unrated: ids of the games that have no part in the sequential ratings, because the package failed on them.
    """

    standings: list[Standing]
    unrated: tuple[int, ...]


def posterior_of(log: MatchLog, start: JointPosterior | None = None) -> JointPosterior:
    """Return the joint posterior of everyone in the log; ``start`` as in ``joint_posterior``."""
    return joint_posterior(sorted(log.players), log.scores, start)


def standings(
    log: MatchLog,
    posterior: JointPosterior,
    sequential: SequentialRatings | None = None,
    order: Order = "posterior",
) -> list[Standing]:
    """Return everyone's standing, the strongest first.

    Args:
        log: the games.
        posterior: everyone's skill.
        sequential: everyone's sequential rating, if it is wanted.
        order: what to sort by; ``trueskill`` needs ``sequential``.
    """
    mus, sigmas = posterior.mu, posterior.sigma
    rated = sequential.by_player if sequential else {}
    names = posterior.order
    if order == "trueskill":
        names = sorted(names, key=lambda name: -rated[name].mu)
    rows = [posterior.players.index(name) for name in names]
    found = []
    for rank, (name, row, next_row) in enumerate(zip(names, rows, [*rows[1:], None], strict=True), start=1):
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
                trueskill=rated.get(name),
            )
        )
    return found


def write_tables(log: MatchLog, folder: Path, order: Order = "posterior") -> Leaderboard:
    """Write ``leaderboard.csv`` and ``crosstable.csv`` of a log with players into ``folder``, sorted by ``order``."""
    posterior = posterior_of(log)
    sequential = sequential_ratings(log, posterior.margin)
    lines = standings(log, posterior, sequential, order)
    write_csv(RunFolder(folder).leaderboard, [line.row() for line in lines])
    write_csv(RunFolder(folder).crosstable, [_crosstable_row(line, lines, log) for line in lines])
    return Leaderboard(lines, sequential.unrated)


def _crosstable_row(standing: Standing, lines: Sequence[Standing], log: MatchLog) -> dict[str, Cell]:
    scores = {other.name: log.score(standing.name, other.name) for other in lines}
    cells = {name: str(score) if score.games else "" for name, score in scores.items()}
    return {"wins/draws/losses of the row": standing.name, **cells}
