"""The leaderboard as it lies in a folder."""

from __future__ import annotations

import csv
from pathlib import Path

LEADERBOARD, PICTURE = "leaderboard.csv", "leaderboard.png"


def read_leaderboard(folder: Path) -> list[dict[str, str]]:
    """Return the rows of ``leaderboard.csv`` in ``folder``, the strongest first; none if nobody was ranked there."""
    file = folder / LEADERBOARD
    if not file.is_file():
        return []
    with file.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))
