"""How games ended: one ``Result``, and the ``Score`` of many."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Result(IntEnum):
    """How a game ended for one player; the number is its value, from -1 (lost) to 1 (won)."""

    WIN = 1
    DRAW = 0
    LOSS = -1

    @classmethod
    def of(cls, reward: float) -> Result:
        """Return the result that a final reward stands for: its sign."""
        return cls.WIN if reward > 0 else cls.LOSS if reward < 0 else cls.DRAW

    @property
    def points(self) -> float:
        """Points as in a tournament: 1, 0.5 or 0."""
        return (1 + self) / 2

    @property
    def reversed(self) -> Result:
        """The same game as the other player sees it."""
        return Result(-self)


@dataclass(frozen=True)
class Score:
    """Games as one player saw them."""

    wins: int = 0
    draws: int = 0
    losses: int = 0

    @classmethod
    def of(cls, result: Result, games: int = 1) -> Score:
        """Return the score of ``games`` games that all ended with ``result``."""
        return cls(*(games * (result is each) for each in Result))

    @property
    def games(self) -> int:
        """Number of games."""
        return self.wins + self.draws + self.losses

    @property
    def points(self) -> float:
        """Wins plus half of the draws."""
        return self.wins + self.draws / 2

    @property
    def share(self) -> float | None:
        """Points per game; None without games."""
        return self.points / self.games if self.games else None

    @property
    def reversed(self) -> Score:
        """The same games as the opponent saw them."""
        return Score(self.losses, self.draws, self.wins)

    def count(self, result: Result) -> int:
        """Return how many games ended with ``result``."""
        return {Result.WIN: self.wins, Result.DRAW: self.draws, Result.LOSS: self.losses}[result]

    def __add__(self, other: Score) -> Score:
        """Return the score of both sets of games."""
        return Score(self.wins + other.wins, self.draws + other.draws, self.losses + other.losses)

    def __sub__(self, other: Score) -> Score:
        """Return the score without the games of ``other``, which are part of it."""
        return Score(self.wins - other.wins, self.draws - other.draws, self.losses - other.losses)

    def __str__(self) -> str:
        """Return ``wins/draws/losses``."""
        return f"{self.wins}/{self.draws}/{self.losses}"


@dataclass(frozen=True)
class SeatScores:
    """The score of one player by seat: where it moved ``first``, and where it moved ``second``."""

    first: Score = Score()
    second: Score = Score()

    @property
    def total(self) -> Score:
        """Both seats together."""
        return self.first + self.second

    def __add__(self, other: SeatScores) -> SeatScores:
        """Add seat by seat."""
        return SeatScores(self.first + other.first, self.second + other.second)

    @classmethod
    def of(cls, seat: int, score: Score) -> SeatScores:
        """Return ``score`` as made in ``seat``, 0 to move first."""
        return cls(score, Score()) if seat == 0 else cls(Score(), score)
