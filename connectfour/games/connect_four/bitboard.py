"""N Connect Four boards in lockstep on NumPy ``uint64`` bitboards.

A column takes seven bits: six cells, the lowest first, and a sentinel that stays empty. Cell (column c, height h) is
bit ``7 * c + h``::

     6 13 20 27 34 41 48   <- sentinels
     5 12 19 26 33 40 47
     4 11 18 25 32 39 46
     3 10 17 24 31 38 45
     2  9 16 23 30 37 44
     1  8 15 22 29 36 43
     0  7 14 21 28 35 42

The sentinel keeps lines from running over a column's edge, so that four in a row is found with two shifts per
direction (the classical bitboard of Tromp's Fhourstones). A position is a pair of words: ``own``, the discs of the
player to move, and ``occupied``, all discs.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from connectfour.games.observation import Observation

ROWS = 6
COLUMNS = 7
CELLS = ROWS * COLUMNS

Bits = NDArray[np.uint64]
Columns = NDArray[np.int64]
Mask = NDArray[np.bool_]
Planes = NDArray[np.int8]

_STRIDE = ROWS + 1
_DIRECTIONS = (1, _STRIDE, _STRIDE - 1, _STRIDE + 1)
_ONE = np.uint64(1)
_BOTTOM: Bits = _ONE << (_STRIDE * np.arange(COLUMNS)).astype(np.uint64)
_TOP: Bits = _BOTTOM << np.uint64(ROWS - 1)
_COLUMN: Bits = _BOTTOM * np.uint64((1 << ROWS) - 1)

BOARD = np.uint64(sum(int(column) for column in _COLUMN))
"""All 42 cells as one word."""

# PettingZoo's planes have row 0 at the top; entry [row, column] is that cell's bit.
_PLANE_BIT = np.array([[_STRIDE * c + (ROWS - 1 - r) for c in range(COLUMNS)] for r in range(ROWS)])
# The same in the 128 bits of both sides' words.
_PLANE_BIT_OF_SIDE = np.stack([_PLANE_BIT, 64 + _PLANE_BIT], axis=-1)

CENTRE_FIRST: Columns = np.array([3, 2, 4, 1, 5, 0, 6])
"""Columns in the order of their distance to the centre, the left one first among equals."""


class Outcome(IntEnum):
    """How a board stands after a move, seen by the player who made it."""

    ONGOING = 0
    WIN = 1
    DRAW = 2
    ILLEGAL = 3


def gain_of_mover(outcome: NDArray[np.int8]) -> NDArray[np.int8]:
    """Return what moves with ``outcome`` (any shape) bring the player who made them: 1 won, -1 illegal, else 0."""
    gain: NDArray[np.int8] = (outcome == Outcome.WIN).astype(np.int8) - (outcome == Outcome.ILLEGAL)
    return gain


def four_lines() -> Bits:
    """Return the 69 lines of four as bitboards, shape (69,)."""
    lines = []
    for column in range(COLUMNS):
        for height in range(ROWS):
            for dc, dh in ((0, 1), (1, 0), (1, 1), (1, -1)):
                end_column, end_height = column + 3 * dc, height + 3 * dh
                if end_column < COLUMNS and 0 <= end_height < ROWS:
                    cells = [_STRIDE * (column + i * dc) + height + i * dh for i in range(4)]
                    lines.append(sum(1 << cell for cell in cells))
    return np.array(lines, dtype=np.uint64)


def legal_columns(occupied: Bits) -> Mask:
    """Return which columns still take a disc: (N,) words to (N, 7) bool."""
    legal: Mask = (occupied[:, None] & _TOP) == 0
    return legal


def landing_cells(occupied: Bits) -> Bits:
    """Return the cell that a disc would take in each column, 0 where it is full: (N,) to (N, 7)."""
    return (occupied[:, None] + _BOTTOM) & _COLUMN


def landing_cell(occupied: Bits, columns: Columns) -> Bits:
    """Return the cell that a disc in ``columns`` (N,) would take, 0 where that column is full or none."""
    inside = (columns >= 0) & (columns < COLUMNS)
    column = np.where(inside, columns, 0)
    return np.where(inside, (occupied + _BOTTOM[column]) & _COLUMN[column], np.uint64(0))


def has_four(discs: Bits) -> Mask:
    """Return where ``discs`` (any shape) hold four in a row."""
    found = np.zeros(discs.shape, dtype=np.bool_)
    for direction in _DIRECTIONS:
        pairs = discs & (discs >> np.uint64(direction))
        found |= (pairs & (pairs >> np.uint64(2 * direction))) != 0
    return found


def mirror(discs: Bits) -> Bits:
    """Return ``discs`` (any shape) with the columns in reverse order."""
    mirrored = np.zeros_like(discs)
    for column in range(COLUMNS):
        shift = np.uint64(abs(COLUMNS - 1 - 2 * column) * _STRIDE)
        cells = discs & _COLUMN[column]
        mirrored |= cells << shift if column < COLUMNS // 2 else cells >> shift
    return mirrored


def to_planes(own: Bits, occupied: Bits) -> Planes:
    """Return PettingZoo's observation, shape (N, 6, 7, 2) int8: own discs, then the opponent's; row 0 on top."""
    words = np.stack([own, own ^ occupied], axis=1).astype("<u8", copy=False)
    bits = np.unpackbits(words.view(np.uint8), axis=1, bitorder="little")
    return bits.take(_PLANE_BIT_OF_SIDE, axis=1).view(np.int8)


def from_planes(observation: NDArray[np.integer]) -> tuple[Bits, Bits]:
    """Return ``(own, occupied)``, each (N,), of PettingZoo observations of shape (N, 6, 7, 2)."""
    bits = np.zeros((len(observation), 2, 64), dtype=np.uint8)
    bits[:, :, _PLANE_BIT] = np.moveaxis(observation, 3, 1)
    words = np.packbits(bits, axis=2, bitorder="little").view("<u8")[:, :, 0].astype(np.uint64, copy=False)
    return words[:, 0].copy(), words[:, 0] | words[:, 1]


def pick_legal(legal: NDArray[np.integer] | Mask, uniform: NDArray[np.float64]) -> Columns:
    """Return a column drawn uniformly from each row of ``legal`` (N, 7), given one number in [0, 1) a row.

    A row without a legal column gives 0.
    """
    count = np.cumsum(legal, axis=1, dtype=np.int8)
    wanted = (uniform * count[:, -1]).astype(np.int8)
    columns: Columns = np.argmax(count > wanted[:, None], axis=1)
    return columns


class Boards:
    """N games in lockstep.

    Attributes:
        own: discs of the player to move, (N,) uint64.
        occupied: all discs, (N,) uint64.
        plies: discs played, (N,) int64.
        outcome: ``Outcome`` of the last move, seen by the player who made it, (N,) int8.
    """

    __slots__ = ("occupied", "outcome", "own", "plies")

    def __init__(self, count: int) -> None:
        """Set up ``count`` empty boards."""
        self.own = np.zeros(count, dtype=np.uint64)
        self.occupied = np.zeros(count, dtype=np.uint64)
        self.plies = np.zeros(count, dtype=np.int64)
        self.outcome = np.zeros(count, dtype=np.int8)

    def __len__(self) -> int:
        """Return N."""
        return len(self.own)

    def __getitem__(self, index: NDArray[np.integer] | Mask | slice) -> Boards:
        """Return a copy of the boards that ``index`` selects."""
        selected = Boards(0)
        for name in self.__slots__:
            setattr(selected, name, getattr(self, name)[index].copy())
        return selected

    @property
    def over(self) -> Mask:
        """Which games have ended, (N,) bool."""
        over: Mask = self.outcome != Outcome.ONGOING
        return over

    @property
    def seat(self) -> NDArray[np.int64]:
        """The seat to move, (N,): 0 moved first from the empty board, 1 second."""
        return self.plies % 2

    @property
    def opponent(self) -> Bits:
        """Discs of the player who is not to move, (N,) uint64."""
        return self.own ^ self.occupied

    def legal(self) -> Mask:
        """Return the columns that take a disc, (N, 7) bool; none where the game is over."""
        return legal_columns(self.occupied) & ~self.over[:, None]

    def observe(self) -> Observation:
        """Return what the players to move see: planes (N, 6, 7, 2) and action mask (N, 7), both int8."""
        return Observation(to_planes(self.own, self.occupied), self.legal().astype(np.int8))

    def play(self, columns: Columns) -> NDArray[np.int8]:
        """Drop one disc on every board and return the ``Outcome`` (N,) int8, seen by the player who dropped it.

        A full column, or a number that is no column, ends the game as ``ILLEGAL`` and leaves the discs as they were.

        Raises:
            ValueError: a game is already over; ``reset`` it first.
        """
        if self.outcome.any():
            raise ValueError(f"{int(self.over.sum())} of {len(self)} games are over: reset them before the next move")
        disc = landing_cell(self.occupied, columns)
        legal = disc != 0
        outcome = has_four(self.own | disc).astype(np.int8)
        self.own = np.where(legal, self.opponent, self.own)
        self.occupied = self.occupied | disc
        outcome[(outcome == Outcome.ONGOING) & (self.occupied == BOARD)] = Outcome.DRAW
        outcome[~legal] = Outcome.ILLEGAL
        self.plies = self.plies + legal
        self.outcome = outcome
        return outcome

    def reset(self, which: Mask | NDArray[np.integer] | None = None) -> None:
        """Empty the boards that ``which`` selects, or all of them."""
        index = slice(None) if which is None else which
        for name in self.__slots__:
            getattr(self, name)[index] = 0

    def assign(self, index: NDArray[np.integer] | Mask, boards: Boards) -> None:
        """Overwrite the boards that ``index`` selects with ``boards``."""
        for name in self.__slots__:
            getattr(self, name)[index] = getattr(boards, name)
