"""Grades a player's moves against the solved game.

A move is *value-preserving* if it leads to the best result that the position still allows (win, draw or loss), and
*optimal* if it keeps the exact score, which is the distance to the end as well. Positions whose columns all lead to
the same result say nothing and are left out. The packaged positions were solved with BitBully; grading itself needs
NumPy alone.
"""

from __future__ import annotations

import csv
import gzip
import io
import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from connectfour.errors import NotationError, PositionsError
from connectfour.games.connect_four.bitboard import CELLS, COLUMNS, Boards, Columns, Mask
from connectfour.games.connect_four.notation import format_moves, parse_board
from connectfour.players.contract import Player

HALVES = ("dev", "test")
"""The packaged positions: tune on ``dev``, report ``test``."""

HEADER = ("moves", *(f"s{column}" for column in range(1, COLUMNS + 1)))
PLY_BUCKET = 7
_BUCKETS = range(0, CELLS, PLY_BUCKET)

_FULL = np.iinfo(np.int64).min
_Z95 = 1.959963984540054


@dataclass(frozen=True)
class GradedPositions:
    """N positions with the exact score of every column.

    Attributes:
        moves: the 0-based columns that lead to each position.
        scores: score of each column for the player to move, (N, 7) int64: positive if it wins, 0 if it draws, negative
            if it loses, the larger the sooner a win or the later a loss; the smallest int64 where a column is full.
    """

    moves: Sequence[Sequence[int]]
    scores: NDArray[np.int64]

    def __len__(self) -> int:
        """Return N."""
        return len(self.moves)

    @cached_property
    def boards(self) -> Boards:
        """The positions."""
        return _replay(self.moves)

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
        worst = np.where(self.scores == _FULL, np.iinfo(np.int64).max, self.scores).min(axis=1)
        decides: Mask = np.sign(worst) != np.sign(self.best)
        return decides

    def select(self, kept: Mask) -> GradedPositions:
        """Return the positions where ``kept`` (N,) is true."""
        moves = [moves for moves, wanted in zip(self.moves, kept.tolist(), strict=True) if wanted]
        return GradedPositions(moves, self.scores[kept])


@dataclass(frozen=True)
class Share:
    """Of ``positions`` moves, how many preserved the value and how many were optimal."""

    positions: int
    value_preserving: int
    optimal: int

    def to_json(self) -> dict[str, Any]:
        """Return counts, shares and the 95 % intervals of the shares."""
        shares = {
            f"{name}_{what}": value
            for name, count in (("value_preserving", self.value_preserving), ("optimal", self.optimal))
            for what, value in (
                ("share", count / self.positions),
                ("interval", wilson_interval(count, self.positions)),
            )
        }
        return {"positions": self.positions, **shares}


@dataclass(frozen=True)
class Grades:
    """The verdict on one move in each of N positions; all arrays are (N,).

    Attributes:
        value_preserving: whether the move keeps the result.
        optimal: whether it keeps the score.
        plies: discs on the board.
        winning: whether the position is won, else drawn.
    """

    value_preserving: Mask
    optimal: Mask
    plies: NDArray[np.int64]
    winning: Mask

    @property
    def overall(self) -> Share:
        """Over all positions."""
        return self._share(np.ones(len(self.plies), dtype=np.bool_))

    def shares(self) -> dict[str, Share]:
        """Return the share overall, by discs on the board, and by the result of perfect play for the player to move."""
        bucket = self.plies // PLY_BUCKET
        buckets = {f"plies {first}-{first + PLY_BUCKET - 1}": bucket * PLY_BUCKET == first for first in _BUCKETS}
        parts = {**buckets, "won": self.winning, "drawn": ~self.winning}
        return {"all": self.overall, **{name: self._share(here) for name, here in parts.items() if here.any()}}

    def _share(self, here: Mask) -> Share:
        return Share(int(here.sum()), int(self.value_preserving[here].sum()), int(self.optimal[here].sum()))


def load_positions(source: str = "test") -> GradedPositions:
    """Read the packaged half ``dev`` or ``test``, or a CSV file (gzip too) with the columns ``moves,s1,...,s7``.

    Raises:
        PositionsError: the file cannot be read, or a line of it is no graded position; the message names the line.
    """
    if source in HALVES:
        data = resources.files("connectfour.grading.graded_set").joinpath(f"{source}.csv.gz").read_bytes()
    else:
        try:
            data = Path(source).read_bytes()
        except OSError as error:
            halves = " or ".join(HALVES)
            raise PositionsError(
                f"cannot read {source}: {error.strerror}; name a CSV file of graded positions, {halves}"
            ) from None
    try:
        text = (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode()
    except (OSError, EOFError, zlib.error, UnicodeDecodeError):
        raise PositionsError(f"{source} is no text and no complete gzip file: name a CSV file") from None
    lines = csv.reader(io.StringIO(text))
    if next(lines, None) != list(HEADER):
        raise PositionsError(f"{source} does not begin with the line {','.join(HEADER)}: add it")
    moves: list[list[int]] = []
    scores: list[list[int]] = []
    try:
        for fields in lines:
            moves.append(_read_moves(fields))
            scores.append(_read_scores(fields))
    except (ValueError, csv.Error) as error:
        raise _no_position(lines.line_num, source, error) from None
    if not moves:
        raise PositionsError(f"{source} holds no positions: add one line for each below the first")
    positions = GradedPositions(moves, np.array(scores, dtype=np.int64))
    boards = positions.boards
    wrong = boards.over | (boards.legal() != (positions.scores != _FULL)).any(axis=1)
    if wrong.any():
        first = int(np.argmax(wrong))
        raise _no_position(first + 2, source, _fault(moves[first]))
    return positions


def _no_position(line: int, source: str, reason: object) -> PositionsError:
    return PositionsError(f"line {line} of {source} is no graded position: {reason}")


def _read_moves(fields: list[str]) -> list[int]:
    if len(fields) != len(HEADER):
        raise ValueError(f"it has {len(fields)} fields instead of {len(HEADER)}")
    if not set(fields[0]) <= set("1234567"):
        raise ValueError(f"{fields[0]!r} is no string of columns 1 to {COLUMNS}")
    return [int(character) - 1 for character in fields[0]]


def _read_scores(fields: list[str]) -> list[int]:
    scores = [int(field) if field else _FULL for field in fields[1:]]
    for score in scores:
        if score != _FULL and abs(score) > CELLS:
            raise ValueError(f"{score} is no score: no game takes more than {CELLS} discs")
    return scores


def _fault(moves: Sequence[int]) -> str:
    """Say what is wrong with a position that is over, or whose scores are not those of its open columns."""
    try:
        board = parse_board(format_moves(moves))
    except NotationError as error:
        return str(error)
    if board.over[0]:
        return f"the game {format_moves(moves)} is over"
    open_columns = ", ".join(str(column + 1) for column in np.flatnonzero(board.legal()[0]))
    return f"scores belong to the open columns ({open_columns}) and to no other"


def _replay(moves: Sequence[Sequence[int]]) -> Boards:
    """Return the boards after ``moves``; a game that ends on the way stays at its end."""
    boards = Boards(len(moves))
    lengths = np.array([len(each) for each in moves])
    for ply in range(int(lengths.max())):
        here = np.flatnonzero((lengths > ply) & ~boards.over)
        turn = boards[here]
        turn.play(np.array([moves[index][ply] for index in here.tolist()], dtype=np.int64))
        boards.assign(here, turn)
    return boards


def choose_columns(player: Player, positions: GradedPositions, seed: int = 0) -> Columns:
    """Return the column (N,) that ``player`` plays in each position.

    A player with a memory of the game is first shown its earlier turns, as if it had played them.
    """
    rng = np.random.default_rng(seed)
    state = player.initial_state(len(positions))
    plies = positions.plies
    if state.shape[1]:
        for ply in range(int(plies.max())):
            here = np.flatnonzero((plies > ply) & ((plies - ply) % 2 == 0))
            if len(here):
                turn = _replay([positions.moves[index][:ply] for index in here.tolist()])
                state[here] = player.act(turn.observe(), state[here], rng)[1]
    return player.act(positions.boards.observe(), state, rng)[0]


def grade(player: Player, positions: GradedPositions, seed: int = 0) -> Grades:
    """Let ``player`` move once in each position whose result depends on the column.

    Raises:
        PositionsError: there is no such position.
    """
    decided = positions.select(positions.decides)
    if not len(decided):
        raise PositionsError("in none of the positions does the result depend on the column: add some in which it does")
    return grade_columns(decided, choose_columns(player, decided, seed))


def grade_columns(positions: GradedPositions, columns: Columns) -> Grades:
    """Grade ``columns`` (N,); a full column, or a number that is none, preserves nothing."""
    inside = (columns >= 0) & (columns < COLUMNS)
    chosen = np.where(inside, positions.scores[np.arange(len(positions)), np.where(inside, columns, 0)], _FULL)
    legal, best = chosen != _FULL, positions.best
    return Grades(legal & (np.sign(chosen) == np.sign(best)), legal & (chosen == best), positions.plies, best > 0)


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """Return the 95 % interval of a proportion (Wilson 1927)."""
    share, scale = successes / trials, 1 + _Z95**2 / trials
    centre = (share + _Z95**2 / (2 * trials)) / scale
    half = _Z95 / scale * math.sqrt(share * (1 - share) / trials + _Z95**2 / (4 * trials**2))
    return max(0.0, centre - half), min(1.0, centre + half)
