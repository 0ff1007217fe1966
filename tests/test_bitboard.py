"""The bitboards play PettingZoo's connect_four_v3, move for move."""

from __future__ import annotations

import numpy as np
import pytest
from pettingzoo.classic.connect_four import connect_four

from connectfour.games.connect_four.bitboard import (
    BOARD,
    CELLS,
    COLUMNS,
    ROWS,
    Boards,
    Outcome,
    four_lines,
    from_planes,
    has_four,
    landing_cells,
    mirror,
    mover_reward,
    to_planes,
)
from connectfour.games.connect_four.notation import parse_board
from connectfour.games.moves import pick_legal

ILLEGAL_RATE = 0.02


@pytest.mark.slow
def test_same_as_pettingzoo_on_2000_games() -> None:
    """Observations, masks, rewards and terminations agree after every move, illegal ones included."""
    rng = np.random.default_rng(0)
    wrapped = connect_four.env()
    outcomes = np.zeros(4, dtype=int)
    for _ in range(2000):
        wrapped.reset()
        board = Boards(1)
        while not board.over[0]:
            mover = wrapped.agent_selection
            other = next(agent for agent in wrapped.agents if agent != mover)
            observation, expected = board.observe(), wrapped.observe(mover)
            np.testing.assert_array_equal(expected["observation"], observation.planes[0])
            np.testing.assert_array_equal(expected["action_mask"], observation.action_mask[0])
            assert observation.planes.dtype == expected["observation"].dtype
            assert observation.action_mask.dtype == expected["action_mask"].dtype
            assert board.seat[0] == wrapped.possible_agents.index(mover)
            np.testing.assert_array_equal(
                wrapped.observe(other)["observation"], to_planes(board.opponent, board.occupied)[0]
            )
            full = np.flatnonzero(observation.action_mask[0] == 0)
            column = rng.choice(full) if len(full) and rng.random() < ILLEGAL_RATE else rng.integers(COLUMNS)
            outcome = Outcome(board.play(np.array([column]))[0])
            wrapped.step(int(column))
            rewards = {
                Outcome.ONGOING: (0, 0),
                Outcome.WIN: (1, -1),
                Outcome.DRAW: (0, 0),
                Outcome.ILLEGAL: (-1, 0),
            }
            assert (wrapped.rewards[mover], wrapped.rewards[other]) == rewards[outcome]
            assert mover_reward(board.outcome)[0] == wrapped.rewards[mover]
            assert wrapped.terminations == dict.fromkeys((mover, other), outcome != Outcome.ONGOING)
            # The end of a game leaves the opponent without legal columns too.
            assert board.observe().action_mask.any() == (outcome == Outcome.ONGOING)
            outcomes[outcome] += 1
    assert (outcomes[1:] > 0)[[0, 2]].all(), "the games must contain wins and illegal moves"
    wrapped.close()


def test_a_full_board_without_a_line_is_a_draw() -> None:
    """The 42nd disc ends the game, and only the 42nd."""
    drawn = "715554334254347446776722611633367652251121"
    assert parse_board(drawn[:-1]).outcome[0] == Outcome.ONGOING
    assert parse_board(drawn).outcome[0] == Outcome.DRAW
    rng = np.random.default_rng(3)
    draws = 0
    games = Boards(4000)
    for _ in range(CELLS):
        outcome = games.play(pick_legal(games.legal(), rng.random(len(games))))
        ended = outcome != Outcome.ONGOING
        draws += int((outcome == Outcome.DRAW).sum())
        assert (games.plies[outcome == Outcome.DRAW] == CELLS).all()
        games = games[~ended]
    assert draws > 0
    assert len(games) == 0


def test_has_four_finds_the_69_lines() -> None:
    """The shifts find the boards that contain one of the lines, and no others."""
    rng = np.random.default_rng(1)
    discs = rng.integers(0, 1 << 49, size=20_000, dtype=np.uint64) & BOARD
    sparse = discs & rng.integers(0, 1 << 49, size=20_000, dtype=np.uint64)
    lines = four_lines()
    assert len(set(lines.tolist())) == 69
    for words in (discs, sparse):
        expected = ((words[:, None] & lines) == lines).any(axis=1)
        assert 0 < expected.sum() < len(words)
        np.testing.assert_array_equal(expected, has_four(words))


def _random_positions(count: int, plies: int) -> Boards:
    rng = np.random.default_rng(plies)
    boards = Boards(count)
    for _ in range(plies):
        boards.play(pick_legal(boards.legal(), rng.random(len(boards))))
        boards = boards[~boards.over]
    return boards


@pytest.mark.parametrize("plies", [0, 1, 9, 20, 33])
def test_planes_and_bitboards_show_the_same_board(plies: int) -> None:
    """Converting to planes and back returns the same words, and mirroring reverses the columns of the planes."""
    boards = _random_positions(500, plies)
    own, occupied = from_planes(to_planes(boards.own, boards.occupied))
    np.testing.assert_array_equal(boards.own, own)
    np.testing.assert_array_equal(boards.occupied, occupied)
    np.testing.assert_array_equal(
        to_planes(boards.own, boards.occupied)[:, :, ::-1], to_planes(mirror(boards.own), mirror(boards.occupied))
    )


def test_a_disc_falls_on_the_lowest_empty_cell() -> None:
    """Row 5 of the planes is the bottom row."""
    board = parse_board("44")
    planes = to_planes(board.own, board.occupied)[0]
    assert planes[ROWS - 1, 3].tolist() == [1, 0]
    assert planes[ROWS - 2, 3].tolist() == [0, 1]
    assert landing_cells(board.occupied)[0, 3] == np.uint64(1) << np.uint64(3 * 7 + 2)


def test_resetting_some_boards_leaves_the_others_alone() -> None:
    """Only the selected boards are empty afterwards."""
    boards = Boards(3)
    boards.play(np.array([0, 1, 2]))
    boards.reset(np.array([False, True, False]))
    assert boards.plies.tolist() == [1, 0, 1]
    assert (boards.occupied != 0).tolist() == [True, False, True]


def test_a_finished_game_accepts_no_moves() -> None:
    """Forgetting to reset a board raises an error."""
    board = parse_board("1212121")
    assert board.outcome[0] == Outcome.WIN
    with pytest.raises(ValueError, match="1 of 1 games are over"):
        board.play(np.array([3]))


@pytest.mark.parametrize("column", [-1, 7, 100])
def test_a_column_that_does_not_exist_is_illegal(column: int) -> None:
    """The game ends, and the board does not change."""
    board = Boards(1)
    assert board.play(np.array([column]))[0] == Outcome.ILLEGAL
    assert board.occupied[0] == 0
    assert board.plies[0] == 0


def test_pick_legal_is_uniform_over_legal_columns() -> None:
    """Every legal column comes up equally often, and a full column never."""
    mask = np.tile(np.array([0, 1, 1, 0, 1, 0, 1], dtype=np.int8), (4000, 1))
    uniform = (np.arange(4000) + 0.5) / 4000
    counts = np.bincount(pick_legal(mask, uniform), minlength=COLUMNS)
    assert counts.tolist() == [0, 1000, 1000, 0, 1000, 0, 1000]
