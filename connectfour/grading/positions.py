"""Solved positions: the packaged halves, and CSV files of the same form.

The packaged positions were solved with BitBully. Reading them needs NumPy alone.
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from connectfour.errors import NotationError, PositionsError
from connectfour.games.connect_four.bitboard import Boards, Mask
from connectfour.games.connect_four.notation import format_moves, parse_board
from connectfour.games.connect_four.packing import ACTIONS, MAX_PLIES

HALVES = ("dev", "test")
"""The packaged positions: tune on ``dev``, report ``test``."""

HEADER = ("moves", *(f"s{column}" for column in range(1, ACTIONS + 1)))
"""Columns of a file of positions."""

FULL = np.iinfo(np.int64).min
"""Score of a full column."""


@dataclass(frozen=True)
class GradedPositions:
    """N positions with the exact score of every column.

    Attributes:
        moves: the 0-based columns that lead to each position.
        scores: score of each column for the player to move, (N, 7) int64. It is positive for a win, 0 for a draw and
            negative for a loss; the sooner a win and the later a loss, the higher. A full column has ``FULL``.
    """

    moves: Sequence[Sequence[int]]
    scores: NDArray[np.int64]

    def __len__(self) -> int:
        """Return N."""
        return len(self.moves)

    @cached_property
    def boards(self) -> Boards:
        """The positions."""
        return play_moves(self.moves)

    @property
    def plies(self) -> NDArray[np.int64]:
        """Discs on each board, (N,)."""
        return np.array([len(moves) for moves in self.moves], dtype=np.int64)

    @property
    def best(self) -> NDArray[np.int64]:
        """The score of the best column, (N,)."""
        best: NDArray[np.int64] = self.scores.max(axis=1)
        return best

    @property
    def decides(self) -> Mask:
        """Whether the result depends on the column, (N,)."""
        worst = np.where(self.scores == FULL, np.iinfo(np.int64).max, self.scores).min(axis=1)
        decides: Mask = np.sign(worst) != np.sign(self.best)
        return decides

    def select(self, kept: Mask) -> GradedPositions:
        """Return the positions where ``kept`` (N,) is true."""
        moves = [moves for moves, wanted in zip(self.moves, kept.tolist(), strict=True) if wanted]
        return GradedPositions(moves, self.scores[kept])


def load_positions(source: str = "test") -> GradedPositions:
    """Read the packaged half ``dev`` or ``test``, or a CSV file with the columns ``moves,s1,...,s7``, perhaps gzipped.

    Raises:
        PositionsError: the file cannot be read, or a line is not a graded position; the message names the line.
    """
    lines = csv.reader(io.StringIO(_read_text(source)))
    if next(lines, None) != list(HEADER):
        raise PositionsError(f"{source} does not begin with the line {','.join(HEADER)}: add it")
    moves: list[list[int]] = []
    scores: list[list[int]] = []
    try:
        for fields in lines:
            moves.append(_parse_moves(fields))
            scores.append(_parse_scores(fields))
    except (ValueError, csv.Error) as error:
        raise _bad_line(lines.line_num, source, error) from None
    if not moves:
        raise PositionsError(f"{source} holds no positions: add one line for each below the header")
    positions = GradedPositions(moves, np.array(scores, dtype=np.int64))
    boards = positions.boards
    wrong = boards.over | (boards.legal() != (positions.scores != FULL)).any(axis=1)
    if wrong.any():
        first = int(np.argmax(wrong))
        raise _bad_line(first + 2, source, _describe_mistake(moves[first]))
    return positions


def _read_text(source: str) -> str:
    if source in HALVES:
        data = resources.files("connectfour.grading.graded_set").joinpath(f"{source}.csv.gz").read_bytes()
    else:
        try:
            data = Path(source).read_bytes()
        except OSError as error:
            halves = " or ".join(HALVES)
            raise PositionsError(
                f"cannot read {source}: {error.strerror}; name {halves}, or a CSV file of graded positions"
            ) from None
    try:
        return (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode()
    except (OSError, EOFError, zlib.error, UnicodeDecodeError):
        raise PositionsError(f"{source} is neither text nor a complete gzip file: name a CSV file") from None


def _bad_line(line: int, source: str, reason: object) -> PositionsError:
    return PositionsError(f"line {line} of {source} is not a graded position: {reason}")


def _parse_moves(fields: list[str]) -> list[int]:
    if len(fields) != len(HEADER):
        raise ValueError(f"it has {len(fields)} fields instead of {len(HEADER)}")
    if not set(fields[0]) <= set("1234567"):
        raise ValueError(f"{fields[0]!r} is not a string of columns 1 to {ACTIONS}")
    return [int(character) - 1 for character in fields[0]]


def _parse_scores(fields: list[str]) -> list[int]:
    scores = [int(field) if field else FULL for field in fields[1:]]
    for score in scores:
        if score != FULL and abs(score) > MAX_PLIES:
            raise ValueError(f"{score} is not a score: a game has at most {MAX_PLIES} discs")
    return scores


def _describe_mistake(moves: Sequence[int]) -> str:
    """Return what is wrong with a position that is over, or whose scores are not those of its open columns."""
    try:
        board = parse_board(format_moves(moves))
    except NotationError as error:
        return str(error)
    if board.over[0]:
        return f"the game {format_moves(moves)} is over"
    open_columns = ", ".join(str(column + 1) for column in np.flatnonzero(board.legal()[0]))
    return f"exactly the open columns ({open_columns}) must have scores"


def play_moves(moves: Sequence[Sequence[int]]) -> Boards:
    """Return the boards after ``moves``, 0-based columns; a game that ends early stays in its final position."""
    boards = Boards(len(moves))
    lengths = np.array([len(each) for each in moves])
    for ply in range(int(lengths.max())):
        here = np.flatnonzero((lengths > ply) & ~boards.over)
        turn = boards[here]
        turn.play(np.array([moves[index][ply] for index in here.tolist()], dtype=np.int64))
        boards.assign(here, turn)
    return boards
