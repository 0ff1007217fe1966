"""What each heuristic does, on boards drawn beside the answer."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from connectfour.games.connect_four.bitboard import CENTRE_FIRST, COLUMNS, ROWS, Boards, Outcome
from connectfour.games.connect_four.openings import random_openings
from heuristics import HEURISTICS, make_heuristic


def draw(board: str) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """Return observation and action mask of a drawing, the top row first; X is to move."""
    cells = np.array([line.split() for line in board.strip().splitlines()])
    cells = np.vstack([np.full((ROWS - len(cells), COLUMNS), "."), cells])
    observation = np.stack([cells == "X", cells == "O"], axis=2).astype(np.int8)
    return observation[None], (cells[:1] == ".").astype(np.int8)


def choose(heuristic: str, board: str, seed: int = 0) -> int:
    """Return the column, 1 to 7, that a heuristic plays for X on a drawing, at the start of its memory."""
    player = make_heuristic(heuristic)
    columns, _ = player.act(*draw(board), player.initial_state(1), np.random.default_rng(seed))
    return int(columns[0]) + 1


def follow(heuristic: str, replies: str, seed: int = 0) -> str:
    """Let a heuristic move first against fixed ``replies`` and return its columns."""
    player, board, rng = make_heuristic(heuristic), Boards(1), np.random.default_rng(seed)
    state, played = player.initial_state(1), ""
    for reply in replies:
        columns, state = player.act(*board.observe(), state, rng)
        board.play(columns)
        played += str(columns[0] + 1)
        board.play(np.array([int(reply) - 1]))
    return played


@pytest.mark.parametrize("name", [*HEURISTICS, "minimax:4"])
def test_knows_its_own_name(name: str) -> None:
    """A name leads to the heuristic of that name."""
    assert make_heuristic(name).name in {name, f"{name}:2"}


@pytest.mark.parametrize("name", ["nobody", "minimax:0", "minimax:x", "minimax:99", "linear:3", ""])
def test_unknown_names_are_refused(name: str) -> None:
    """The message lists what there is."""
    with pytest.raises(ValueError, match="minimax"):
        make_heuristic(name)


EMPTY = ". . . . . . ."


def test_random_plays_every_legal_column() -> None:
    """All but the full column come up."""
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
    """Six discs fill a column, four of them its own; then it draws another and keeps to that."""
    for seed in range(20):
        start = int(follow("always_same", "1", seed))
        near, far = start % 7 + 1, (start + 1) % 7 + 1
        played = follow("always_same", f"{near}{start}{start}{near}{far}{far}", seed)
        assert played[:4] == str(start) * 4
        assert played[4] != str(start)
        assert played[5] == played[4]


def test_always_same_chooses_anew_for_each_game() -> None:
    """Over many games all columns come up."""
    assert {follow("always_same", "1", seed) for seed in range(100)} == set("1234567")


@pytest.mark.parametrize(("replies", "played"), [("717", "471"), ("2664", "4266"), ("1111", "4111")])
def test_beat_last_answers_on_top(replies: str, played: str) -> None:
    """It opens in the centre, then follows the opponent."""
    assert follow("beat_last", replies) == played


@pytest.mark.parametrize(("full", "answer"), [(1, 2), (7, 6), (4, 3), (5, 4)])
def test_beat_last_takes_the_nearest_column_when_that_one_is_full(full: int, answer: int) -> None:
    """Of two as near, the one nearer the centre, and of those the left one."""
    board = Boards(1)
    for _ in range(5):
        board.play(np.array([full - 1]))
    memory = board.occupied.astype(np.int64)[:, None]
    board.play(np.array([full - 1]))
    columns, _ = make_heuristic("beat_last").act(*board.observe(), memory, np.random.default_rng(0))
    assert columns[0] + 1 == answer


@pytest.mark.parametrize("board", [EMPTY, "X . . . . O .\nX O . . . O ."])
def test_beat_last_without_a_last_disc_plays_the_centre(board: str) -> None:
    """It moves first, or takes over a game in the middle, where no single disc is new."""
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
        # Three upright are worth nothing under the opponent's disc; two in a row go on at 3, nearer the centre than 7.
        (
            """
            . . . O . . .
            . . . X . . .
            . . . X . . .
            O . . X X . O
            """,
            3,
        ),
        # The opponent's three in 1 are no concern of it.
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
    """Through the landing cell, centre first among equals."""
    assert choose("linear", board) == column


@pytest.mark.parametrize("name", ["tactical", "minimax:2", "minimax:4"])
@pytest.mark.parametrize(
    ("board", "column"),
    [
        # wins, though it could block in 1
        (
            """
            O . . . . . X
            O . . . . . X
            O . . . . . X
            """,
            7,
        ),
        # blocks
        (
            """
            O . . . . . .
            O . . X . . .
            O . . X . . X
            """,
            1,
        ),
        # fills the gap in the opponent's row
        ("X O O . O X X", 4),
        # wins on the diagonal
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
    """One ply of attack, one of defence."""
    assert choose(name, board) == column


@pytest.mark.parametrize("name", ["tactical", "minimax:2"])
def test_does_not_play_under_the_opponents_win(name: str) -> None:
    """A disc in the centre would let O complete its second row there."""
    board = """
    O O O . . . X
    X X O . . X X
    """
    assert choose(name, board) != 4
    assert choose("linear", board) == 4


def test_tactical_with_only_bad_columns_plays_nearest_the_centre() -> None:
    """Whatever it does feeds O; it still moves."""
    observation, mask = draw(
        """
        O O O . O O O
        X X X . X X X
        X X O . O X X
        """
    )
    mask[:] = 0
    mask[0, 3] = 1
    player = make_heuristic("tactical")
    columns, _ = player.act(observation, mask, player.initial_state(1), np.random.default_rng(0))
    assert columns[0] == 3


def test_the_cell_above_the_board_is_no_threat() -> None:
    """Bit patterns that run over the top of column 4 are no line: its top cell is safe, and the centre."""
    board = """
    . . . . . . .
    . . . O . . .
    . . . X . . .
    . O . X . . .
    . X O O . . .
    . X X O . . .
    """
    assert choose("tactical", board) == 4


def _negamax(board: Boards, depth: int) -> list[int]:
    """Search one board in the plainest way: the value of each column, or -depth - 1 where it is full."""
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
    """The vectorised search plays what a recursive one over single boards does, late positions included."""
    rng = np.random.default_rng(depth)
    player = make_heuristic(f"minimax:{depth}")
    # The last positions are so late that the search reaches the full board.
    positions = [random_openings(np.full(5, plies), rng) for plies in (0, 7, 15, 24, 32)] + [
        random_openings(np.full(60, 40), rng)
    ]
    for board in (boards[i : i + 1] for boards in positions for i in range(len(boards))):
        values = _negamax(board, depth)
        best = max(values[column] for column in np.flatnonzero(board.legal()[0]))
        expected = next(int(c) for c in CENTRE_FIRST if values[c] == best and board.legal()[0, c])
        columns, _ = player.act(*board.observe(), player.initial_state(1), rng)
        assert expected == columns[0]
