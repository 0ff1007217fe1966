"""Single games for people, compared with the boards in lockstep."""

from __future__ import annotations

import numpy as np
import pytest

from connectfour.errors import NotationError
from connectfour.games.connect_four.bitboard import Boards, Outcome, to_planes
from connectfour.games.picture import MARKS, Picture
from connectfour.games.position import Position
from connectfour.games.registry import make_game


def _picture(game: Position) -> Picture:
    assert game.picture is not None
    return game.picture


def test_a_single_game_agrees_with_the_bitboards() -> None:
    """Cells, turns, legal columns and endings of 200 random games agree after every move."""
    rng = np.random.default_rng(1)
    endings = set()
    for _ in range(200):
        game, board = Position(), Boards(1)
        while not game.over:
            assert game.legal == tuple(np.flatnonzero(board.legal()[0]))
            column = int(rng.choice(game.legal))
            game = game.play(column)
            board.play(np.array([column]))
            planes = to_planes(board.own, board.occupied)[0]
            for row, each in np.ndindex(6, 7):
                owner = _picture(game).cells.get((row, each))
                assert (owner == game.mover) == bool(planes[row, each, 0])
                assert (owner == 1 - game.mover) == bool(planes[row, each, 1])
        assert game.board.returns.tolist() == board.returns.tolist()
        assert game.legal == ()
        assert Position.parse(f" {game.moves}\n") == game
        endings.add(game.winner)
        if game.winner is not None:
            assert board.outcome[0] == Outcome.WIN
            picture = _picture(game)
            assert picture.last in picture.winning
            assert {picture.cells[cell] for cell in picture.winning} == {game.winner}
            assert len(picture.winning) >= 4
            assert not _picture(game.upto(len(game.actions) - 1)).winning
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
    assert _picture(Position.parse(moves)).winning == cells


def test_taking_back_returns_to_a_players_last_turn() -> None:
    """A seat takes back its own last move and the reply to it; without a seat, one move is taken back."""
    game = Position.parse("44356")
    assert game.take_back(0).moves == "4435"
    assert game.take_back(1).moves == "443"
    assert game.take_back(None).moves == "4435"
    assert Position.parse("4").take_back(1).moves == "4", "the second player has not moved yet"
    assert Position().take_back(None) == Position()


def test_illegal_moves_are_refused() -> None:
    """The message explains a full column, a column that does not exist, and a game that is over."""
    with pytest.raises(NotationError, match="column 4 is full: choose another one"):
        Position.parse("444444").play(3)
    with pytest.raises(NotationError, match="there is no column 8: choose 1 to 7"):
        Position().play(7)
    with pytest.raises(NotationError, match="the game is over: start a new one or take back a move"):
        Position.parse("1213141").play(1)


def test_the_picture_of_tictactoe_agrees_with_its_text() -> None:
    """And with its boards: 200 random games, each cell after every move, and the lines of the winner."""
    rng, rules = np.random.default_rng(1), make_game("tictactoe")
    endings, lengths = set(), set()
    for _ in range(200):
        game = Position((), rules)
        while not game.over:
            game = game.play(int(rng.choice(game.legal)))
            picture = _picture(game)
            drawn = [line.split() for line in str(rules.text(game.board)).split("\n")]
            for action, (row, column) in enumerate(picture.places):
                owner = picture.cells.get((row, column))
                assert drawn[row][column] == (str(action + 1) if owner is None else MARKS[owner])
            assert picture.last == picture.places[game.actions[-1]]
        assert bool(picture.winning) == (game.winner is not None)
        if picture.winning:
            assert picture.last in picture.winning
            assert {picture.cells[cell] for cell in picture.winning} == {game.winner}
            assert not _picture(game.upto(len(game.actions) - 1)).winning
        endings.add(game.winner)
        lengths.add(len(picture.winning))
    assert endings == {0, 1, None}
    assert lengths == {0, 3, 5}, "two lines at once share a cell"


def test_a_taken_cell_is_refused() -> None:
    """A cell that does not exist, too; a game without a picture lists its legal actions."""
    game = Position.parse("5 1", make_game("tictactoe"))
    with pytest.raises(NotationError, match="cell 1 is taken: choose another one"):
        game.play(0)
    with pytest.raises(NotationError, match="there is no cell 10: choose 1 to 9"):
        game.play(9)
    plain = Position((), make_game("pettingzoo:pettingzoo.classic.tictactoe_v3"))
    assert plain.picture is None
    with pytest.raises(NotationError, match="9 is not legal: choose one of 0, 1, 2, 3, 4, 5, 6, 7, 8"):
        plain.play(9)
