"""Each heuristic on boards that are drawn next to the expected column."""

from __future__ import annotations

import numpy as np
import pytest

from connectfour.games.connect_four.bitboard import CENTER_FIRST, COLUMNS, ROWS, Boards, Outcome
from connectfour.games.observation import Observation
from connectfour.games.openings import random_openings
from connectfour.games.registry import make_game
from heuristics import HEURISTICS, make_heuristic


def observe_drawing(board: str) -> Observation:
    """Return the observation of a drawn board with X to move. Empty rows at the top may be left out."""
    cells = np.array([line.split() for line in board.strip().splitlines()])
    cells = np.vstack([np.full((ROWS - len(cells), COLUMNS), "."), cells])
    planes = np.stack([cells == "X", cells == "O"], axis=2).astype(np.int8)
    return Observation(planes[None], (cells[:1] == ".").astype(np.int8))


def choose(heuristic: str, board: str, seed: int = 0) -> int:
    """Return the column, 1 to 7, that a heuristic without memory of the game plays for X on a drawn board."""
    player = make_heuristic(heuristic)
    columns, _ = player.act(observe_drawing(board), player.initial_state(1), np.random.default_rng(seed))
    return int(columns[0]) + 1


def follow(heuristic: str, replies: str, seed: int = 0) -> str:
    """Return the columns that a heuristic plays when it moves first against fixed ``replies``."""
    player, board, rng = make_heuristic(heuristic), Boards(1), np.random.default_rng(seed)
    state, played = player.initial_state(1), ""
    for reply in replies:
        columns, state = player.act(board.observe(), state, rng)
        board.play(columns)
        played += str(columns[0] + 1)
        board.play(np.array([int(reply) - 1]))
    return played


@pytest.mark.parametrize("name", [*HEURISTICS, "minimax:4"])
def test_a_heuristic_has_the_name_it_is_built_by(name: str) -> None:
    """Without a depth, minimax searches two plies."""
    assert make_heuristic(name).name in {name, f"{name}:2"}


@pytest.mark.parametrize("name", ["nobody", "linear:3", ""])
def test_an_unknown_name_is_refused_with_the_known_ones(name: str) -> None:
    """The message lists all heuristics."""
    with pytest.raises(ValueError, match=f"unknown heuristic '{name}': choose one of random, .*minimax:DEPTH"):
        make_heuristic(name)


@pytest.mark.parametrize("name", ["minimax:0", "minimax:x", "minimax:99", "minimax:"])
def test_an_invalid_depth_is_refused_with_the_valid_ones(name: str) -> None:
    """The message gives the range of depths."""
    with pytest.raises(ValueError, match=f"invalid search depth in '{name}': choose minimax:1 to minimax:9"):
        make_heuristic(name)


EMPTY = ". . . . . . ."


def test_random_plays_every_legal_column() -> None:
    """Every column but the full one comes up."""
    board = """
    O . . . . . .
    X . . . . . .
    O . . . . . .
    X . . . . . .
    O . . . . . .
    X . . . . . .
    """
    assert {choose("random", board, seed) for seed in range(100)} == {2, 3, 4, 5, 6, 7}


def test_always_same_keeps_its_column_until_it_is_full() -> None:
    """Its column is full after four discs of its own and two of the opponent; then it draws another."""
    for seed in range(20):
        start = int(follow("always_same", "1", seed))
        near, far = start % 7 + 1, (start + 1) % 7 + 1
        played = follow("always_same", f"{near}{start}{start}{near}{far}{far}", seed)
        assert played[:4] == str(start) * 4
        assert played[4] != str(start)
        assert played[5] == played[4]


def test_always_same_draws_a_new_column_for_each_game() -> None:
    """Over many games, every column comes up."""
    assert {follow("always_same", "1", seed) for seed in range(100)} == set("1234567")


@pytest.mark.parametrize(("replies", "played"), [("717", "471"), ("2664", "4266"), ("1111", "4111")])
def test_beat_last_plays_on_top_of_the_last_disc(replies: str, played: str) -> None:
    """It opens in the center, then follows the opponent."""
    assert follow("beat_last", replies) == played


@pytest.mark.parametrize(("full", "answer"), [(1, 2), (7, 6), (4, 3), (5, 4)])
def test_beat_last_moves_to_the_nearest_column_when_the_last_one_is_full(full: int, answer: int) -> None:
    """Of two columns at the same distance, it takes the one nearer the center, and then the left one."""
    board = Boards(1)
    for _ in range(5):
        board.play(np.array([full - 1]))
    memory = board.occupied.astype(np.int64)[:, None]
    board.play(np.array([full - 1]))
    columns, _ = make_heuristic("beat_last").act(board.observe(), memory, np.random.default_rng(0))
    assert columns[0] + 1 == answer


@pytest.mark.parametrize("board", [EMPTY, "X . . . . O .\nX O . . . O ."])
def test_beat_last_without_a_last_disc_plays_the_center(board: str) -> None:
    """It moves first, or takes over a game in progress, where more than one disc is new."""
    assert choose("beat_last", board) == 4


@pytest.mark.parametrize(
    ("board", "column"),
    [
        (EMPTY, 4),
        ("X X . X O . O", 3),
        (
            """
            . . . X . . .
            O . . X . . .
            O . . X . . O
            """,
            4,
        ),
        # The column of three is blocked. Two in a row can be extended at 3, which is nearer the center than 6.
        (
            """
            . . . O . . .
            . . . X . . .
            . . . X . . .
            O . . X X . O
            """,
            3,
        ),
        # It ignores the opponent's three in column 1.
        (
            """
            O . . . . . .
            O . . . . . .
            O . . . X X .
            """,
            4,
        ),
    ],
)
def test_linear_extends_its_longest_open_line(board: str, column: int) -> None:
    """Ties go to the column nearest the center."""
    assert choose("linear", board) == column


@pytest.mark.parametrize("name", ["tactical", "minimax:2", "minimax:4"])
@pytest.mark.parametrize(
    ("board", "column"),
    [
        # It wins in 7 instead of blocking in 1.
        (
            """
            O . . . . . X
            O . . . . . X
            O . . . . . X
            """,
            7,
        ),
        # It blocks in 1.
        (
            """
            O . . . . . .
            O . . X . . .
            O . . X . . X
            """,
            1,
        ),
        # It fills the gap in the opponent's row.
        ("X O O . O X X", 4),
        # It wins on the diagonal.
        (
            """
            . . . . . . .
            . . X O . . .
            . X O X . . .
            X O X O . . O
            """,
            4,
        ),
    ],
    ids=["win", "block", "gap", "diagonal"],
)
def test_wins_then_blocks(name: str, board: str, column: int) -> None:
    """A win comes before a block, and a block before anything else."""
    assert choose(name, board) == column


@pytest.mark.parametrize("name", ["tactical", "minimax:2"])
def test_does_not_play_under_the_opponents_win(name: str) -> None:
    """A disc in the center would let O complete its second row there."""
    board = """
    O O O . . . X
    X X O . . X X
    """
    assert choose(name, board) != 4
    assert choose("linear", board) == 4


def test_tactical_with_only_bad_columns_plays_nearest_the_center() -> None:
    """In columns 1 and 5, the only legal ones here, every disc lets O win on top of it."""
    observation = observe_drawing(
        """
        . O O O . X X
        . X X O . X X
        """
    )
    observation.action_mask[0, [1, 2, 3, 5, 6]] = 0
    player = make_heuristic("tactical")
    columns, _ = player.act(observation, player.initial_state(1), np.random.default_rng(0))
    assert columns[0] + 1 == 5


def test_the_cell_above_the_board_is_no_threat() -> None:
    """Lines do not run over the top of column 4, so its top cell is safe, and it is in the center."""
    board = """
    . . . . . . .
    . . . O . . .
    . . . X . . .
    . O . X . . .
    . X O O . . .
    . X X O . . .
    """
    assert choose("tactical", board) == 4


def test_minimax_finds_a_double_threat_next_to_a_full_column() -> None:
    """Three in a row at 2, 3 and 4 win at 1 or 5. That column 2 is full does not give O another move."""
    board = """
    . X . . . . .
    . O . . . . .
    . X . . . . .
    . O . . . . .
    . X . . . . O
    . X . X . O O
    """
    assert choose("minimax:3", board) == 3
    assert choose("minimax:2", board) == 4


def _negamax(board: Boards, depth: int) -> list[int]:
    """Return the value of each column by plain recursion on a single board; -depth - 1 where the column is full."""
    values = []
    for column in range(7):
        child = board[:]
        outcome = child.play(np.array([column]))[0]
        if outcome == Outcome.ILLEGAL:
            values.append(-depth - 1)
        elif outcome == Outcome.WIN:
            values.append(depth)
        elif outcome == Outcome.DRAW or depth == 1:
            values.append(0)
        else:
            values.append(-max(_negamax(child, depth - 1)))
    return values


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_minimax_is_plain_negamax(depth: int) -> None:
    """The vectorized search plays the same columns as recursion on single boards, late positions included."""
    rng = np.random.default_rng(depth)
    player = make_heuristic(f"minimax:{depth}")
    # From the latest positions, the search reaches the full board.
    positions = random_openings(make_game(), np.repeat([0, 7, 15, 24, 32, 40], [5, 5, 5, 5, 5, 60]), rng)
    assert isinstance(positions, Boards)
    for board in (positions[i : i + 1] for i in range(len(positions))):
        values = _negamax(board, depth)
        best = max(values[column] for column in np.flatnonzero(board.legal()[0]))
        expected = next(int(c) for c in CENTER_FIRST if values[c] == best and board.legal()[0, c])
        columns, _ = player.act(board.observe(), player.initial_state(1), rng)
        assert expected == columns[0]
