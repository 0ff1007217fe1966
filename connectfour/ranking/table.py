"""The leaderboard as it lies in a folder, read again."""

from __future__ import annotations

import csv
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from connectfour.errors import RankingError

LEADERBOARD, PICTURE = "leaderboard.csv", "leaderboard.png"


class Row(BaseModel):
    """A line of ``leaderboard.csv``, as far as others read it; the columns are told of in ``Standing``."""

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


def read_leaderboard(folder: Path) -> list[Row]:
    """Return the rows of ``leaderboard.csv`` in ``folder``, the strongest first; none if nobody was ranked there.

    Raises:
        RankingError: it is damaged.
    """
    file = folder / LEADERBOARD
    if not file.is_file():
        return []
    try:
        with file.open(newline="", encoding="utf-8") as stream:
            lines = csv.DictReader(stream, strict=True)
            return [Row.model_validate({name: cell or None for name, cell in line.items()}) for line in lines]
    except (ValidationError, UnicodeDecodeError, csv.Error):
        raise RankingError(f"{file} is damaged: connectfour rank --replay {folder} writes it again") from None
