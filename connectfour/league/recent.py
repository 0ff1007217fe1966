"""Main's recent results against each opponent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

from connectfour.games.result import Result, Score, SeatScores

_PRIOR = Score(draws=2)


class RecentResults:
    """Main's latest games against each opponent: the fewest iterations with at least ``games`` games.

    Results survive a freeze, because main is the same policy before and after.
    """

    def __init__(self, games: int, iterations: Mapping[str, Sequence[Score]] | None = None) -> None:
        """Start from ``iterations``: by opponent, one score per iteration, the oldest first."""
        self._games = games
        self.iterations: dict[str, list[Score]] = {name: list(scores) for name, scores in (iterations or {}).items()}

    def add(self, results: Mapping[str, SeatScores]) -> None:
        """Add one iteration, and drop the old ones that are no longer needed."""
        for opponent, scores in results.items():
            kept = self.iterations.setdefault(opponent, [])
            kept.append(scores.total)
            while self.score(opponent).games - kept[0].games >= self._games:
                kept.pop(0)

    def forget(self, opponent: str) -> None:
        """Drop everything about an opponent."""
        self.iterations.pop(opponent, None)

    def score(self, opponent: str) -> Score:
        """Return main's score against ``opponent``."""
        return sum(self.iterations.get(opponent, []), Score())

    def estimate(self, opponent: str) -> float:
        """Return main's points per game against ``opponent``, with two draws as a prior (0.5 without games)."""
        score = self.score(opponent) + _PRIOR
        return score.points / score.games

    def mean(self, opponents: Sequence[str]) -> float:
        """Return the mean of the estimates, with all ``opponents`` weighted equally."""
        return fmean(self.estimate(name) for name in opponents)

    def draw_rate(self, opponents: Sequence[str]) -> float:
        """Return the share of draws in all recent games against ``opponents``, 0 without games."""
        total = sum((self.score(name) for name in opponents), Score())
        return total.count(Result.DRAW) / max(1, total.games)
