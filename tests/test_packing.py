"""Packed observations stand for the positions they were packed from."""

from __future__ import annotations

import numpy as np
import pytest

from connectfour.games.connect_four.bitboard import Boards, Outcome, mirror
from connectfour.games.connect_four.rules import ConnectFour
from connectfour.games.contract import Boards as BoardsOfAnyGame
from connectfour.games.contract import Children
from connectfour.games.observation import Observation
from connectfour.games.openings import random_openings

GAME = ConnectFour()
ACTIONS, MAX_PLIES, PACKED_SHAPE = GAME.actions, GAME.max_plies, GAME.packed.shape[1:]
VALUES = {Outcome.WIN: 1.0, Outcome.DRAW: 0.0, Outcome.ILLEGAL: -1.0, Outcome.ONGOING: 0.0}


def _positions(plies: int, count: int) -> BoardsOfAnyGame:
    return random_openings(GAME, np.full(count, plies), np.random.default_rng(plies))


def _columns_one_by_one(boards: BoardsOfAnyGame) -> Children:
    """Return the children of ``boards`` by playing every column on a copy of each board."""
    values = np.zeros((len(boards), ACTIONS), dtype=np.float32)
    goes_on = np.zeros((len(boards), ACTIONS), dtype=np.bool_)
    packed = [np.zeros((0, *PACKED_SHAPE), dtype=np.uint64)]
    for row, column in np.ndindex(values.shape):
        board = boards[row : row + 1]
        outcome = Outcome(board.play(np.array([column]))[0])
        values[row, column] = VALUES[outcome]
        if outcome == Outcome.ONGOING:
            goes_on[row, column] = True
            packed.append(board.pack())
    after = np.concatenate(packed)
    return Children(boards.legal(), values, goes_on, after, np.ones(len(after), np.bool_))


@pytest.mark.parametrize("plies", [0, 1, 9, 24, 37])
def test_an_expanded_observation_is_what_the_boards_show(plies: int) -> None:
    """Planes, action masks and dtypes survive the journey in packed form."""
    boards = _positions(plies, 100)
    packed = boards.pack()
    assert packed.shape == (100, *PACKED_SHAPE)
    expected, found = boards.observe(), GAME.expand(packed)
    np.testing.assert_array_equal(expected.planes, found.planes)
    np.testing.assert_array_equal(expected.action_mask, found.action_mask)
    assert found.planes.dtype == found.action_mask.dtype == np.int8
    assert found.action_mask.shape == (100, ACTIONS)


@pytest.mark.parametrize("plies", [0, 6, 20, 33, 38, 40, MAX_PLIES - 1])
def test_children_are_the_positions_after_every_column(plies: int) -> None:
    """Values, unfinished games and packed positions equal those of columns played one by one."""
    boards = _positions(plies, 40)
    expected, found = _columns_one_by_one(boards), GAME.children(boards.pack())
    np.testing.assert_array_equal(expected.values, found.values)
    np.testing.assert_array_equal(expected.goes_on, found.goes_on)
    np.testing.assert_array_equal(expected.packed, found.packed)
    np.testing.assert_array_equal(expected.legal, found.legal)
    assert found.opponent_moves.all()
    assert found.values.dtype == np.float32
    assert found.packed.dtype == np.uint64


def test_children_cover_every_way_to_end_a_game() -> None:
    """Late positions contain wins, draws, full columns and games that go on; otherwise the test above shows little."""
    late = GAME.children(_positions(33, 40).pack())
    assert {-1.0, 0.0, 1.0} == set(late.values.ravel().tolist())
    assert late.goes_on.any()
    last = GAME.children(_positions(MAX_PLIES - 1, 40).pack())
    assert not last.goes_on.any()
    assert len(last.packed) == 0
    draws = last.values == 0
    assert draws.any()
    assert (draws.sum(axis=1) <= 1).all(), "one cell is left on each board"


def test_mirrored_positions_have_mirrored_children() -> None:
    """Reversing the columns of a board reverses the order of its children."""
    packed = _positions(20, 60).pack()
    found, mirrored = GAME.children(packed), GAME.children(mirror(packed))
    np.testing.assert_array_equal(found.values, mirrored.values[:, ::-1])
    np.testing.assert_array_equal(found.goes_on, mirrored.goes_on[:, ::-1])
    rows = np.nonzero(found.goes_on)[0]
    for row in range(len(packed)):
        of_mirrored = mirrored.packed[np.nonzero(mirrored.goes_on)[0] == row]
        np.testing.assert_array_equal(mirror(found.packed[rows == row]), of_mirrored[::-1])


def test_children_of_no_positions_are_empty() -> None:
    """A batch may be empty."""
    found = GAME.children(Boards(0).pack())
    assert found.values.shape == found.goes_on.shape == (0, ACTIONS)
    assert found.packed.shape == (0, *PACKED_SHAPE)


@pytest.mark.parametrize("rows", [slice(3, 7), np.array([5, 1, 1]), np.array([], dtype=np.int64)], ids=str)
def test_rows_of_an_observation_keep_planes_and_masks_together(rows: slice | np.ndarray) -> None:
    """Any selection of rows is an observation of the selected positions."""
    boards = _positions(37, 10)
    observation = boards.observe()
    selected, expected = observation[rows], boards[rows].observe()
    assert isinstance(selected, Observation)
    assert len(observation) == 10
    assert len(selected) == len(boards[rows])
    np.testing.assert_array_equal(expected.planes, selected.planes)
    np.testing.assert_array_equal(expected.action_mask, selected.action_mask)
