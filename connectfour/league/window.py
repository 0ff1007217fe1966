"""Main's recent results against the pool."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from connectfour.league.matchmaking import RESULTS, Result, Tally

_POINTS = {"win": 1.0, "draw": 0.5, "loss": 0.0}


class Window:
    """Tallies of the latest iterations since the last freeze: as few of them as hold ``min_games`` games."""

    def __init__(self, min_games: int, iterations: Iterable[Sequence[Tally]] = ()) -> None:
        """Start from ``iterations``, the oldest first."""
        self._min_games = min_games
        self.iterations: list[Sequence[Tally]] = list(iterations)

    def add(self, tallies: Sequence[Tally]) -> None:
        """Take in an iteration and drop the oldest ones that are not needed any more."""
        self.iterations.append(tallies)
        while self.games() - sum(tally.games for tally in self.iterations[0]) >= self._min_games:
            self.iterations.pop(0)

    def games(self, opponent: str | None = None, result: Result | None = None) -> int:
        """Count the games, all of them or those against ``opponent`` or with ``result``."""
        return sum(
            tally.games
            for tallies in self.iterations
            for tally in tallies
            if opponent in (None, tally.opponent) and result in (None, tally.result)
        )

    def share(self, result: Result) -> float:
        """Return the share of the games with ``result``, 0 without games."""
        return self.games(result=result) / max(1, self.games())

    def score(self, opponent: str | None = None, prior_games: int = 0) -> float:
        """Return main's points per game, all of them or those against ``opponent``, 0 without games.

        A draw is half a point. ``prior_games`` drawn games are thought in before, so that few games cannot say much.
        """
        points = sum(_POINTS[result] * self.games(opponent, result) for result in RESULTS)
        return (points + _POINTS["draw"] * prior_games) / max(1, self.games(opponent) + prior_games)
