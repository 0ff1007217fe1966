"""Move strings and drawn boards."""

from __future__ import annotations

import pytest

from connectfour.errors import NotationError
from connectfour.games.connect_four.notation import ascii_board, format_moves, parse_board, parse_moves


def test_move_strings_round_trip() -> None:
    """Columns 1 to 7 in a move string are 0 to 6 in code."""
    assert parse_moves("44356") == [3, 3, 2, 4, 5]
    assert format_moves(parse_moves("44356")) == "44356"


@pytest.mark.parametrize("moves", ["4", "44", "443"])
def test_x_marks_the_first_player_throughout_the_game(moves: str) -> None:
    """The first disc is an X and stays one."""
    bottom_row = ascii_board(parse_board(moves)).splitlines()[5]
    assert bottom_row.split()[3] == "X"


def test_a_board_is_drawn_with_the_top_row_first() -> None:
    """The last line numbers the columns."""
    board = """\
. . . . . . .
. . . . . . .
. . . . . . .
. . . X . . .
. . . O . . .
. . X X O . .
1 2 3 4 5 6 7"""
    assert ascii_board(parse_board("44354")) == board


@pytest.mark.parametrize(
    ("moves", "message"),
    [
        ("4a", "move 2 of '4a' is 'a': write columns as digits 1 to 7"),
        ("8", "move 1 of '8' is '8'"),
        ("1111111", "column 1 is full at move 7"),
        ("12121213", "is over: remove move 8 and all after it"),
    ],
)
def test_invalid_move_strings_are_refused(moves: str, message: str) -> None:
    """The message names the move and what to do about it."""
    with pytest.raises(NotationError, match=message):
        parse_moves(moves)
