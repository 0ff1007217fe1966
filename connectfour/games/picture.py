"""``Picture``: a position as people see it, for games whose every action fills one empty cell of a board."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

Cell = tuple[int, int]
"""Row and column; row 0 is the top row."""

MARKS = ("X", "O")
"""How text shows what belongs to each seat."""


@dataclass(frozen=True)
class Picture:
    """A board with what both seats have put on it.

    Attributes:
        title: what people call the game.
        rows, columns: size of the board.
        kind: ``discs`` drop into columns, from a column's top cell to its lowest empty one; ``marks`` are set on cells.
        places: the cell at which each action is shown, by action: for discs, the top cell of the column.
        cells: seat of the owner of each cell that is filled, in the order in which the actions filled them.
        winning: the cells of all lines that the winner completed; empty in drawn and unfinished games.
    """

    title: str
    rows: int
    columns: int
    kind: Literal["discs", "marks"]
    places: tuple[Cell, ...]
    cells: Mapping[Cell, int]
    winning: frozenset[Cell] = frozenset()

    @property
    def last(self) -> Cell | None:
        """The cell that was filled last; None on the empty board."""
        return list(self.cells)[-1] if self.cells else None

    @property
    def place(self) -> str:
        """What an action names: a column or a cell."""
        return "column" if self.kind == "discs" else "cell"


def complete_lines(cells: Mapping[Cell, int], lines: Iterable[frozenset[Cell]]) -> frozenset[Cell]:
    """Return the cells of all ``lines`` that one seat owns alone."""
    owned = [{cell for cell, owner in cells.items() if owner == seat} for seat in (0, 1)]
    return frozenset(cell for line in lines if any(own.issuperset(line) for own in owned) for cell in line)
