"""How games end: the ``Result`` of one game, the ``Score`` of many, and ``SeatScores`` by who moved first."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from connectfour.games.intervals import difference_interval


class Result(IntEnum):
    """Result of a game for one player. As a number, it is the value of the game: 1, 0 or -1."""

    WIN = 1
    DRAW = 0
    LOSS = -1

    @classmethod
    def of(cls, reward: float) -> Result:
        """Return the result with the sign of ``reward``, the reward at the end of the game."""
        return cls.WIN if reward > 0 else cls.LOSS if reward < 0 else cls.DRAW

    @property
    def points(self) -> float:
        """Tournament points: 1, 0.5 or 0."""
        return (1 + self) / 2

    @property
    def reversed(self) -> Result:
        """The result of the same game for the other player."""
        return Result(-self)


@dataclass(frozen=True)
class Score:
    """Numbers of games that one player won, drew and lost."""

    wins: int = 0
    draws: int = 0
    losses: int = 0

    @classmethod
    def of(cls, result: Result, games: int = 1) -> Score:
        """Return the score of ``games`` games with the same ``result``."""
        return cls(*(games * (result is each) for each in Result))

    @property
    def games(self) -> int:
        """Number of games."""
        return self.wins + self.draws + self.losses

    @property
    def points(self) -> float:
        """Tournament points: one per win and half a point per draw."""
        return self.wins + self.draws / 2

    @property
    def share(self) -> float | None:
        """Points per game, from 0 to 1; None if there are no games."""
        return self.points / self.games if self.games else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval of the expected points per game, if no game repeats another; None without games.

        Wins minus losses per game is a paired difference, so Tango's interval applies; ``difference_interval`` has
        the source.
        """
        if not self.games:
            return None
        low, high = difference_interval(self.wins, self.losses, self.games)
        return (1 + low) / 2, (1 + high) / 2

    @property
    def reversed(self) -> Score:
        """The score of the same games for the opponent."""
        return Score(self.losses, self.draws, self.wins)

    def count(self, result: Result) -> int:
        """Return the number of games with this ``result``."""
        return {Result.WIN: self.wins, Result.DRAW: self.draws, Result.LOSS: self.losses}[result]

    def __add__(self, other: Score) -> Score:
        """Return the score of both sets of games together."""
        return Score(self.wins + other.wins, self.draws + other.draws, self.losses + other.losses)

    def __sub__(self, other: Score) -> Score:
        """Return the score without the games in ``other``, which must be a part of them."""
        return Score(self.wins - other.wins, self.draws - other.draws, self.losses - other.losses)

    def __str__(self) -> str:
        """Return ``wins/draws/losses``."""
        return f"{self.wins}/{self.draws}/{self.losses}"


@dataclass(frozen=True)
class SeatScores:
    """Scores of one player by seat: ``first`` counts games in which it moved first, ``second`` the others."""

    first: Score = Score()
    second: Score = Score()

    @property
    def total(self) -> Score:
        """The score of both seats together."""
        return self.first + self.second

    @property
    def by_seat(self) -> dict[str, Score]:
        """The scores of ``first``, ``second`` and ``both``."""
        return {"first": self.first, "second": self.second, "both": self.total}

    def __add__(self, other: SeatScores) -> SeatScores:
        """Return the scores of both sets of games together, by seat."""
        return SeatScores(self.first + other.first, self.second + other.second)

    @classmethod
    def of(cls, seat: int, score: Score) -> SeatScores:
        """Return ``score`` as the score of ``seat``: 0 for moving first, 1 for moving second."""
        return cls(score, Score()) if seat == 0 else cls(Score(), score)
