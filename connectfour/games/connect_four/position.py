"""A position of Connect Four as people see it: discs in cells, and the lines of a winner."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from typing_extensions import override

from connectfour.errors import NotationError
from connectfour.games.connect_four.bitboard import COLUMNS, ROWS, four_lines, to_planes
from connectfour.games.position import Position

Cell = tuple[int, int]
"""Row and column; row 0 is the top row."""

_LINES = [
    frozenset((int(row), int(column)) for row, column in np.argwhere(line))
    for line in to_planes(four_lines(), four_lines())[..., 0]
]


@dataclass(frozen=True)
class ConnectFourPosition(Position):
    """A position of Connect Four; its actions are 0-based columns."""

    @property
    def columns(self) -> tuple[int, ...]:
        """The columns played."""
        return self.actions

    @cached_property
    def cells(self) -> dict[Cell, int]:
        """Seat of the owner of each disc, by cell, in the order in which the discs were played."""
        height = [0] * COLUMNS
        cells: dict[Cell, int] = {}
        for ply, column in enumerate(self.actions):
            cells[ROWS - 1 - height[column], column] = ply % 2
            height[column] += 1
        return cells

    @property
    def last(self) -> Cell | None:
        """Cell of the last disc; None on the empty board."""
        return next(reversed(self.cells), None)

    @property
    def winning_cells(self) -> frozenset[Cell]:
        """The cells of all lines of four that the winner completed."""
        if self.winner is None:
            return frozenset()
        own = {cell for cell, owner in self.cells.items() if owner == self.winner}
        return frozenset(cell for line in _LINES if own.issuperset(line) for cell in line)

    @override
    def play(self, action: int) -> ConnectFourPosition:
        """Return the position after a disc in a column, 0-based.

        Raises:
            NotationError: the game is over, or the column is full or does not exist.
        """
        if self.over:
            raise NotationError("the game is over: start a new one or take back a move")
        if not 0 <= action < COLUMNS:
            raise NotationError(f"there is no column {action + 1}: choose 1 to {COLUMNS}")
        if action not in self.legal:
            raise NotationError(f"column {action + 1} is full: choose another one")
        return super().play(action)
