"""Single games for people, compared with the boards in lockstep."""

from __future__ import annotations

import numpy as np
import pytest

from connectfour.errors import NotationError
from connectfour.games.connect_four.bitboard import Boards, Outcome, to_planes
from connectfour.games.connect_four.position import ConnectFourPosition


def test_a_single_game_agrees_with_the_bitboards() -> None:
    """Cells, turns, legal columns and endings of 200 random games agree after every move."""
    rng = np.random.default_rng(1)
    endings = set()
    for _ in range(200):
        game, board = ConnectFourPosition(), Boards(1)
        while not game.over:
            assert game.legal == tuple(np.flatnonzero(board.legal()[0]))
            column = int(rng.choice(game.legal))
            game = game.play(column)
            board.play(np.array([column]))
            planes = to_planes(board.own, board.occupied)[0]
            for row, each in np.ndindex(6, 7):
                owner = game.cells.get((row, each))
                assert (owner == game.mover) == bool(planes[row, each, 0])
                assert (owner == 1 - game.mover) == bool(planes[row, each, 1])
        assert game.board.returns.tolist() == board.returns.tolist()
        assert game.legal == ()
        assert ConnectFourPosition.parse(f" {game.moves}\n") == game
        endings.add(game.winner)
        if game.winner is not None:
            assert board.outcome[0] == Outcome.WIN
            assert game.last in game.winning_cells
            assert {game.cells[cell] for cell in game.winning_cells} == {game.winner}
            assert len(game.winning_cells) >= 4
            assert not game.upto(len(game.columns) - 1).winning_cells
    assert endings >= {0, 1}


@pytest.mark.parametrize(
    ("moves", "cells"),
    [
        ("1213141", {(5, 0), (4, 0), (3, 0), (2, 0)}),
        ("1122334", {(5, 0), (5, 1), (5, 2), (5, 3)}),
        ("12233434464", {(5, 0), (4, 1), (3, 2), (2, 3)}),
        ("76655454424", {(5, 6), (4, 5), (3, 4), (2, 3)}),
        ("1122335566" + "4", {(5, column) for column in range(6)}),
    ],
    ids=["up", "across", "rising", "falling", "six in a row"],
)
def test_every_four_in_a_row_is_marked(moves: str, cells: set[tuple[int, int]]) -> None:
    """Row 0 is the top row, so row 5 is the bottom."""
    assert ConnectFourPosition.parse(moves).winning_cells == cells


def test_taking_back_returns_to_a_players_last_turn() -> None:
    """A seat takes back its own last move and the reply to it; without a seat, one move is taken back."""
    game = ConnectFourPosition.parse("44356")
    assert game.take_back(0).moves == "4435"
    assert game.take_back(1).moves == "443"
    assert game.take_back(None).moves == "4435"
    assert ConnectFourPosition.parse("4").take_back(1).moves == "4", "the second player has not moved yet"
    assert ConnectFourPosition().take_back(None) == ConnectFourPosition()


def test_illegal_moves_are_refused() -> None:
    """The message explains a full column, a column that does not exist, and a game that is over."""
    with pytest.raises(NotationError, match="column 4 is full: choose another one"):
        ConnectFourPosition.parse("444444").play(3)
    with pytest.raises(NotationError, match="there is no column 8: choose 1 to 7"):
        ConnectFourPosition().play(7)
    with pytest.raises(NotationError, match="the game is over: start a new one or take back a move"):
        ConnectFourPosition.parse("1213141").play(1)
