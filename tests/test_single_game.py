"""One game as people see it, held to the boards in lockstep."""

from __future__ import annotations

import numpy as np
import pytest

from connectfour.errors import NotationError
from connectfour.games.connect_four.bitboard import Boards, Outcome, to_planes
from connectfour.games.connect_four.game import Game


def test_random_games_are_those_of_the_bitboards() -> None:
    """Cells, turns, legal columns and ends of 200 games, ply by ply."""
    rng = np.random.default_rng(1)
    endings = set()
    for _ in range(200):
        game, board = Game(), Boards(1)
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
        assert game.outcome == board.outcome[0]
        assert game.legal == ()
        assert Game.parse(f" {game.moves}\n") == game
        endings.add(game.winner)
        if game.winner is not None:
            assert game.outcome == Outcome.WIN
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
    """Row 0 is on top."""
    assert Game.parse(moves).winning_cells == cells


def test_moves_are_taken_back_to_a_players_last_turn() -> None:
    """For who moved first, second, or just one move."""
    game = Game.parse("44356")
    assert game.take_back(0).moves == "4435"
    assert game.take_back(1).moves == "443"
    assert game.take_back(None).moves == "4435"
    assert Game.parse("4").take_back(1).moves == "4", "the second player has not moved yet"
    assert Game().take_back(None) == Game()


def test_wrong_moves_are_refused_with_a_sentence() -> None:
    """A full column, no column, and a game that is over."""
    with pytest.raises(NotationError, match="column 4 is full: choose another one"):
        Game.parse("444444").play(3)
    with pytest.raises(NotationError, match="8 is no column: name one from 1 to 7"):
        Game().play(7)
    with pytest.raises(NotationError, match="the game is over"):
        Game.parse("1213141").play(1)
