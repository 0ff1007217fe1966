"""``Game``: a single game with its moves, for playing, taking back and drawing."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from connectfour.errors import NotationError
from connectfour.games.connect_four.bitboard import COLUMNS, ROWS, Boards, Outcome, four_lines, to_planes
from connectfour.games.connect_four.notation import format_moves, parse_moves
from connectfour.games.observation import Observation

Cell = tuple[int, int]
"""Row and column; row 0 is the top row."""

_LINES = [
    frozenset((int(row), int(column)) for row, column in np.argwhere(line))
    for line in to_planes(four_lines(), four_lines())[..., 0]
]


@dataclass(frozen=True)
class Game:
    """A game from the empty board. Games are immutable: a move, or taking one back, returns a new game.

    Attributes:
        columns: the moves as 0-based columns.
    """

    columns: tuple[int, ...] = ()

    @classmethod
    def parse(cls, moves: str) -> Game:
        """Return the game of a move string; surrounding whitespace is ignored.

        Raises:
            NotationError: ``moves`` is not a game.
        """
        return cls(tuple(parse_moves(moves.strip())))

    @property
    def moves(self) -> str:
        """The move string of the game."""
        return format_moves(self.columns)

    @property
    def mover(self) -> int:
        """Seat of the player to move: 0 for the player who moves first, 1 for the other."""
        return len(self.columns) % 2

    @cached_property
    def board(self) -> Boards:
        """The position as ``Boards`` of length 1."""
        board = Boards(1)
        for column in self.columns:
            board.play(np.array([column]))
        return board

    @property
    def outcome(self) -> Outcome:
        """State of the game, from the view of the player who moved last."""
        return Outcome(int(self.board.outcome[0]))

    @property
    def over(self) -> bool:
        """Whether the game has ended."""
        return self.outcome != Outcome.ONGOING

    @property
    def winner(self) -> int | None:
        """Seat of the winner; None in drawn and unfinished games."""
        return 1 - self.mover if self.outcome == Outcome.WIN else None

    @property
    def legal(self) -> tuple[int, ...]:
        """The legal columns, 0-based; none if the game is over."""
        return tuple(int(column) for column in np.flatnonzero(self.board.legal()[0]))

    @cached_property
    def cells(self) -> dict[Cell, int]:
        """Seat of the owner of each disc, by cell, in the order in which the discs were played."""
        height = [0] * COLUMNS
        cells: dict[Cell, int] = {}
        for ply, column in enumerate(self.columns):
            cells[ROWS - 1 - height[column], column] = ply % 2
            height[column] += 1
        return cells

    @property
    def last(self) -> Cell | None:
        """Cell of the last disc; None on the empty board."""
        return next(reversed(self.cells), None)

    @property
    def winning_cells(self) -> frozenset[Cell]:
        """The cells of all lines of four that the winner completed."""
        if self.winner is None:
            return frozenset()
        own = {cell for cell, owner in self.cells.items() if owner == self.winner}
        return frozenset(cell for line in _LINES if own.issuperset(line) for cell in line)

    def observe(self) -> Observation:
        """Return what the player to move sees, as an observation of length 1."""
        return self.board.observe()

    def play(self, column: int) -> Game:
        """Return the game after a disc in ``column``, 0-based.

        Raises:
            NotationError: the game is over, or the column is full or does not exist.
        """
        if self.over:
            raise NotationError("the game is over: start a new one or take back a move")
        if not 0 <= column < COLUMNS:
            raise NotationError(f"there is no column {column + 1}: choose 1 to {COLUMNS}")
        if column not in self.legal:
            raise NotationError(f"column {column + 1} is full: choose another one")
        return Game((*self.columns, column))

    def upto(self, plies: int) -> Game:
        """Return the game after its first ``plies`` moves."""
        return Game(self.columns[:plies])

    def take_back(self, seat: int | None) -> Game:
        """Return the game before the last move of the player in ``seat``, or of either player if ``seat`` is None.

        If there is no such move, the game is returned unchanged.
        """
        plies = range(len(self.columns) - 1, -1, -1)
        return self.upto(next((ply for ply in plies if seat is None or ply % 2 == seat), len(self.columns)))
