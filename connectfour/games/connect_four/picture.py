"""Connect Four as people see it: discs in columns, and the lines of a winner."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from connectfour.games.connect_four.bitboard import COLUMNS, ROWS, four_lines, to_planes
from connectfour.games.picture import Cell, Picture, complete_lines

_LINES = [
    frozenset((int(row), int(column)) for row, column in np.argwhere(line))
    for line in to_planes(four_lines(), four_lines())[..., 0]
]
_PLACES = tuple((0, column) for column in range(COLUMNS))


def draw_position(columns: Sequence[int]) -> Picture:
    """Return the picture of the position after discs in ``columns``, 0-based."""
    height = [0] * COLUMNS
    cells: dict[Cell, int] = {}
    for ply, column in enumerate(columns):
        cells[ROWS - 1 - height[column], column] = ply % 2
        height[column] += 1
    return Picture("Connect Four", ROWS, COLUMNS, "discs", _PLACES, cells, complete_lines(cells, _LINES))
