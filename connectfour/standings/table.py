"""Reads a leaderboard back from its folder."""

from __future__ import annotations

import csv
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from connectfour.errors import RankingError
from connectfour.runs.folder import RunFolder


class LeaderboardRow(BaseModel):
    """A row of ``leaderboard.csv``, with the columns that other modules read; ``Standing.row`` describes them all."""

    model_config = ConfigDict(frozen=True)

    rank: int
    player: str
    mu: float
    high95: float
    wins: int
    draws: int
    losses: int
    win_rate_first: float | None
    win_rate_second: float | None
    graded: float | None

    @property
    def interval(self) -> float:
        """Half of the 95 % interval of the skill, in TrueSkill units."""
        return self.high95 - self.mu


def read_leaderboard(folder: Path) -> list[LeaderboardRow]:
    """Return the rows of ``leaderboard.csv`` in ``folder``, the strongest first; none if there is no such file.

    Raises:
        RankingError: the file is damaged.
    """
    file = RunFolder(folder).leaderboard
    if not file.is_file():
        return []
    try:
        with file.open(newline="", encoding="utf-8") as stream:
            lines = csv.DictReader(stream, strict=True)
            return [
                LeaderboardRow.model_validate({name: cell or None for name, cell in line.items()}) for line in lines
            ]
    except (ValidationError, UnicodeDecodeError, csv.Error):
        raise RankingError(f"{file} is damaged: rebuild it with connectfour rank --rebuild --output {folder}") from None
