"""Move strings and drawings."""

from __future__ import annotations

import pytest

from connectfour.errors import NotationError
from connectfour.games.connect_four.notation import ascii_board, format_moves, parse_board, parse_moves


def test_move_strings_round_trip() -> None:
    """Columns 1 to 7 on paper are 0 to 6 in the code."""
    assert parse_moves("44356") == [3, 3, 2, 4, 5]
    assert format_moves(parse_moves("44356")) == "44356"


def test_drawing() -> None:
    """X moved first, whoever is to move now."""
    board = """\
. . . . . . .
. . . . . . .
. . . . . . .
. . . X . . .
. . . O . . .
. . X X O . .
1 2 3 4 5 6 7"""
    assert ascii_board(parse_board("443" + "5" + "4")) == board


@pytest.mark.parametrize(
    ("moves", "message"),
    [
        ("4a", "move 2 of '4a' is 'a'"),
        ("8", "'8'"),
        ("1111111", "column 1 is full at move 7"),
        ("12121213", "is over: remove the moves from number 8"),
    ],
)
def test_bad_move_strings_are_refused_with_a_sentence(moves: str, message: str) -> None:
    """The message names the move."""
    with pytest.raises(NotationError, match=message):
        parse_moves(moves)
