"""Tic-tac-toe as people see it: marks on cells, and the lines of a winner."""

from __future__ import annotations

from collections.abc import Sequence

from connectfour.games.picture import Picture, complete_lines

_SIDE = 3
_PLACES = tuple((row, column) for column in range(_SIDE) for row in range(_SIDE))
_STRAIGHT = [frozenset((row, column) for column in range(_SIDE)) for row in range(_SIDE)]
_LINES = [
    *_STRAIGHT,
    *(frozenset((row, column) for column, row in line) for line in _STRAIGHT),
    frozenset((index, index) for index in range(_SIDE)),
    frozenset((index, _SIDE - 1 - index) for index in range(_SIDE)),
]


def draw_position(actions: Sequence[int]) -> Picture:
    """Return the picture of the position after ``actions``, which count cells down the columns."""
    cells = {_PLACES[action]: ply % 2 for ply, action in enumerate(actions)}
    return Picture("Tic-tac-toe", _SIDE, _SIDE, "marks", _PLACES, cells, complete_lines(cells, _LINES))
