"""Games as text: a move string lists the columns played, 1 to 7, in order: "44356"."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from connectfour.errors import NotationError
from connectfour.games.connect_four.bitboard import COLUMNS, ROWS, Boards, Outcome, to_planes
from connectfour.games.picture import MARKS

_EMPTY_CELL = "."


def format_moves(columns: Sequence[int] | NDArray[np.integer]) -> str:
    """Return the move string of 0-based ``columns``."""
    return (np.asarray(columns, dtype=np.uint8) + ord("1")).tobytes().decode()


def parse_columns(moves: str) -> list[int]:
    """Return the 0-based columns of a move string, whether there is room in them or not.

    Raises:
        NotationError: a character is not a digit from 1 to 7.
    """
    for ply, character in enumerate(moves, start=1):
        if character not in "1234567":
            raise NotationError(f"move {ply} of {moves!r} is {character!r}: write columns as digits 1 to {COLUMNS}")
    return [int(character) - 1 for character in moves]


def parse_moves(moves: str) -> list[int]:
    """Return the 0-based columns of a move string.

    Raises:
        NotationError: a character is not a digit from 1 to 7, a column is full, or moves follow the end of the game.
    """
    parse_board(moves)
    return parse_columns(moves)


def parse_board(moves: str) -> Boards:
    """Return the position after a move string, as ``Boards`` of length 1.

    Raises:
        NotationError: ``moves`` is not a game; see ``parse_moves``.
    """
    board = Boards(1)
    for ply, column in enumerate(parse_columns(moves), start=1):
        if board.over[0]:
            raise NotationError(f"the game {moves[: ply - 1]!r} is over: remove move {ply} and all after it")
        if board.play(np.array([column]))[0] == Outcome.ILLEGAL:
            raise NotationError(f"column {column + 1} is full at move {ply} of {moves!r}: choose another column")
    return board


def ascii_board(boards: Boards, index: int = 0) -> str:
    """Draw the board at ``index`` as text. ``X`` marks the discs of the player who moved first.

    The game "44354", for example::

        . . . . . . .
        . . . . . . .
        . . . . . . .
        . . . X . . .
        . . . O . . .
        . . X X O . .
        1 2 3 4 5 6 7
    """
    one = boards[index : index + 1]
    planes = to_planes(one.own, one.occupied)[0]
    own_disc, opponent_disc = MARKS if one.seat[0] == 0 else MARKS[::-1]
    rows = [
        " ".join(
            own_disc if planes[row, column, 0] else opponent_disc if planes[row, column, 1] else _EMPTY_CELL
            for column in range(COLUMNS)
        )
        for row in range(ROWS)
    ]
    return "\n".join([*rows, " ".join(str(column + 1) for column in range(COLUMNS))])
