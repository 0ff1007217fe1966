"""Solved positions: the packaged halves of Connect Four, and CSV files of the same form for any game.

The packaged positions were solved with BitBully. Reading them needs NumPy alone.
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from connectfour.errors import NotationError, PositionsError
from connectfour.games.contract import Boards, Game, Mask
from connectfour.games.moves import play_moves
from connectfour.games.registry import make_game

HALVES = ("dev", "test")
"""The packaged positions: tune on ``dev``, report ``test``."""

FULL = np.iinfo(np.int64).min
"""Score of an illegal action, such as a full column."""


@dataclass(frozen=True)
class GradedPositions:
    """N positions with the exact score of every action.

    Attributes:
        moves: the actions that lead to each position.
        scores: score of each action for the player to move, (N, actions) int64. It is positive for a win, 0 for a draw
            and negative for a loss; the sooner a win and the later a loss, the higher. An illegal action has ``FULL``.
        game: the game.
    """

    moves: Sequence[Sequence[int]]
    scores: NDArray[np.int64]
    game: Game = field(default_factory=make_game)

    def __len__(self) -> int:
        """Return N."""
        return len(self.moves)

    @cached_property
    def boards(self) -> Boards:
        """The positions."""
        return play_moves(self.game, self.moves)

    @property
    def plies(self) -> NDArray[np.int64]:
        """Moves that lead to each position, (N,)."""
        return np.array([len(moves) for moves in self.moves], dtype=np.int64)

    @property
    def best(self) -> NDArray[np.int64]:
        """The score of the best action, (N,)."""
        best: NDArray[np.int64] = self.scores.max(axis=1)
        return best

    @property
    def decides(self) -> Mask:
        """Whether the result depends on the action, (N,)."""
        worst = np.where(self.scores == FULL, np.iinfo(np.int64).max, self.scores).min(axis=1)
        decides: Mask = np.sign(worst) != np.sign(self.best)
        return decides

    def select(self, kept: Mask) -> GradedPositions:
        """Return the positions where ``kept`` (N,) is true."""
        moves = [moves for moves, wanted in zip(self.moves, kept.tolist(), strict=True) if wanted]
        return GradedPositions(moves, self.scores[kept], self.game)


def header_of(game: Game) -> list[str]:
    """Return the columns of a file of positions: ``moves``, and ``s`` with the name of each action."""
    return ["moves", *(f"s{game.action_name(action)}" for action in range(game.actions))]


def load_positions(source: str = "test", game: Game | None = None) -> GradedPositions:
    """Read the packaged half ``dev`` or ``test``, or a CSV file, perhaps gzipped.

    Args:
        source: a half, or a file with the columns that ``header_of`` names: ``moves,s1,...,s7`` in Connect Four.
        game: the game of the file; Connect Four by default.

    Raises:
        PositionsError: the file cannot be read, or a line is not a graded position; the message names the line.
    """
    game = game or make_game()
    header = header_of(game)
    lines = csv.reader(io.StringIO(_read_text(source)))
    if next(lines, None) != header:
        raise PositionsError(f"{source} does not begin with the line {','.join(header)}: add it")
    moves: list[list[int]] = []
    scores: list[list[int]] = []
    try:
        for fields in lines:
            read = _parse_line(fields, game)
            moves.append(read[0])
            scores.append(read[1])
    except (ValueError, csv.Error, NotationError) as error:
        raise _bad_line(lines.line_num, source, error) from None
    if not moves:
        raise PositionsError(f"{source} holds no positions: add one line for each below the header")
    positions = GradedPositions(moves, np.array(scores, dtype=np.int64), game)
    _check(positions, source)
    return positions


def _check(positions: GradedPositions, source: str) -> None:
    """Refuse positions that no game reaches, that are over, or whose scores are not those of the legal actions."""
    try:
        boards = positions.boards
        wrong = boards.over | (boards.legal() != (positions.scores != FULL)).any(axis=1)
        wrong |= boards.plies != positions.plies
    except (IndexError, ValueError):  # a move that the game does not have
        wrong = np.ones(len(positions), dtype=np.bool_)
    for index in np.flatnonzero(wrong).tolist():
        mistake = _mistake(positions, index)
        if mistake:
            raise _bad_line(index + 2, source, mistake)


def _mistake(positions: GradedPositions, index: int) -> str | None:
    """Return what is wrong with a position; None if nothing is."""
    game, moves = positions.game, positions.moves[index]
    text = game.format_actions(moves)
    try:
        game.parse_game(text)
    except NotationError as error:
        return str(error)
    board = play_moves(game, [moves])
    if board.over[0]:
        return f"the game {text} is over"
    legal = board.legal()[0]
    if (legal == (positions.scores[index] != FULL)).all():
        return None
    names = ", ".join(game.action_name(action) for action in np.flatnonzero(legal).tolist())
    return f"exactly the legal moves ({names}) must have scores"


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


def _parse_line(fields: list[str], game: Game) -> tuple[list[int], list[int]]:
    """Return the moves and the scores in a line of a file."""
    if len(fields) != game.actions + 1:
        raise ValueError(f"it has {len(fields)} fields instead of {game.actions + 1}")
    moves = game.parse_actions(fields[0])
    scores = [int(field) if field else FULL for field in fields[1:]]
    for score in scores:
        if score != FULL and abs(score) > game.max_plies:
            raise ValueError(f"{score} is not a score: a game has at most {game.max_plies} moves")
    return moves, scores
