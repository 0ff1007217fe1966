"""N Connect Four boards in lockstep on NumPy ``uint64`` bitboards.

Each column occupies seven bits: six cells from the bottom up, and a sentinel that stays empty. The cell in column ``c``
at height ``h`` is bit ``7 * c + h``::

     6 13 20 27 34 41 48   <- sentinels
     5 12 19 26 33 40 47
     4 11 18 25 32 39 46
     3 10 17 24 31 38 45
     2  9 16 23 30 37 44
     1  8 15 22 29 36 43
     0  7 14 21 28 35 42

Sentinels keep lines from wrapping into the next column, so two shifts per direction find four in a row (the bitboard of
Tromp's Fhourstones). A position is a pair of words: ``own``, the discs of the player to move, and ``occupied``, all
discs.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from connectfour.games.contract import Boards as BoardsOfAnyGame
from connectfour.games.observation import Observation

ROWS = 6
COLUMNS = 7
CELLS = ROWS * COLUMNS

Bits = NDArray[np.uint64]
Moves = NDArray[np.int64]
Mask = NDArray[np.bool_]
Planes = NDArray[np.int8]

_STRIDE = ROWS + 1
_DIRECTIONS = (1, _STRIDE, _STRIDE - 1, _STRIDE + 1)
_ONE = np.uint64(1)
_BOTTOM: Bits = _ONE << (_STRIDE * np.arange(COLUMNS)).astype(np.uint64)
_TOP: Bits = _BOTTOM << np.uint64(ROWS - 1)
_COLUMN: Bits = _BOTTOM * np.uint64((1 << ROWS) - 1)

BOARD = np.uint64(sum(int(column) for column in _COLUMN))
"""Word with the bits of all 42 cells."""

# Bit of each cell in PettingZoo's order, in which row 0 is the top row.
_PLANE_BIT = np.array([[_STRIDE * c + (ROWS - 1 - r) for c in range(COLUMNS)] for r in range(ROWS)])
# The same for both planes, as indices into the 128 bits of ``own`` and the opponent's word side by side.
_BIT_OF_EACH_PLANE = np.stack([_PLANE_BIT, 64 + _PLANE_BIT], axis=-1)

CENTER_FIRST: Moves = np.array([3, 2, 4, 1, 5, 0, 6])
"""Moves by distance from the center; ties go to the left."""


class Outcome(IntEnum):
    """State of a board after a move, from the view of the player who made it."""

    ONGOING = 0
    WIN = 1
    DRAW = 2
    ILLEGAL = 3


def mover_reward(outcome: NDArray[np.int8]) -> NDArray[np.int8]:
    """Return PettingZoo's reward for the player who made a move with ``outcome`` (any shape).

    A win earns 1, an illegal move -1, anything else 0.
    """
    reward: NDArray[np.int8] = (outcome == Outcome.WIN).astype(np.int8) - (outcome == Outcome.ILLEGAL)
    return reward


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
    """Return which columns have room for a disc, (N, 7) bool, given ``occupied`` (N,)."""
    legal: Mask = (occupied[:, None] & _TOP) == 0
    return legal


def landing_cells(occupied: Bits) -> Bits:
    """Return the cell where a disc would land in each column, (N, 7), given ``occupied`` (N,); 0 in full columns."""
    return (occupied[:, None] + _BOTTOM) & _COLUMN


def landing_cell(occupied: Bits, columns: Moves) -> Bits:
    """Return the cell where a disc in ``columns`` (N,) would land; 0 if the column is full or does not exist."""
    inside = (columns >= 0) & (columns < COLUMNS)
    column = np.where(inside, columns, 0)
    return np.where(inside, (occupied + _BOTTOM[column]) & _COLUMN[column], np.uint64(0))


def has_four(discs: Bits) -> Mask:
    """Return which words of ``discs`` (any shape) contain four in a row."""
    found = np.zeros(discs.shape, dtype=np.bool_)
    for direction in _DIRECTIONS:
        pairs = discs & (discs >> np.uint64(direction))
        found |= (pairs & (pairs >> np.uint64(2 * direction))) != 0
    return found


def mirror(discs: Bits) -> Bits:
    """Return ``discs`` (any shape) with the order of the columns reversed."""
    mirrored = np.zeros_like(discs)
    for column in range(COLUMNS):
        shift = np.uint64(abs(COLUMNS - 1 - 2 * column) * _STRIDE)
        cells = discs & _COLUMN[column]
        mirrored |= cells << shift if column < COLUMNS // 2 else cells >> shift
    return mirrored


def to_planes(own: Bits, occupied: Bits) -> Planes:
    """Return PettingZoo's observation planes, (N, 6, 7, 2) int8: own discs, then the opponent's; row 0 is the top."""
    words = np.stack([own, own ^ occupied], axis=1).astype("<u8", copy=False)
    bits = np.unpackbits(words.view(np.uint8), axis=1, bitorder="little")
    return bits.take(_BIT_OF_EACH_PLANE, axis=1).view(np.int8)


def from_planes(planes: NDArray[np.integer]) -> tuple[Bits, Bits]:
    """Return ``(own, occupied)``, (N,) each, given PettingZoo's observation planes (N, 6, 7, 2)."""
    bits = np.zeros((len(planes), 2, 64), dtype=np.uint8)
    bits[:, :, _PLANE_BIT] = np.moveaxis(planes, 3, 1)
    words = np.packbits(bits, axis=2, bitorder="little").view("<u8")[:, :, 0].astype(np.uint64, copy=False)
    return words[:, 0].copy(), words[:, 0] | words[:, 1]


@dataclass(frozen=True)
class EveryMove:
    """Every column tried in N positions of unfinished games.

    Attributes:
        own: discs of the player to move, (N,).
        occupied: all discs, (N,).
    """

    own: Bits
    occupied: Bits

    @cached_property
    def legal(self) -> Mask:
        """Which columns have room for a disc, (N, 7)."""
        legal: Mask = self._landing != 0
        return legal

    @cached_property
    def wins(self) -> Mask:
        """Which columns win at once, (N, 7)."""
        return has_four(self.own[:, None] | self._landing)

    @cached_property
    def goes_on(self) -> Mask:
        """After which columns the game goes on, (N, 7)."""
        goes_on: Mask = self.legal & ~self.wins & (self._occupied_after != BOARD)
        return goes_on

    def children(self) -> tuple[Bits, Bits]:
        """Return the M positions after the moves in ``goes_on``, row by row, as ``(own, occupied)`` of the opponent."""
        opponent = np.broadcast_to((self.own ^ self.occupied)[:, None], self.goes_on.shape)
        return opponent[self.goes_on], self._occupied_after[self.goes_on]

    @cached_property
    def _landing(self) -> Bits:
        return landing_cells(self.occupied)

    @cached_property
    def _occupied_after(self) -> Bits:
        return self.occupied[:, None] | self._landing


class Boards(BoardsOfAnyGame):
    """N games in lockstep.

    Attributes:
        own: discs of the player to move, (N,) uint64.
        occupied: all discs, (N,) uint64.
        plies: discs played, (N,) int64.
        outcome: ``Outcome`` of the last move, from the view of the player who made it, (N,) int8.
    """

    __slots__ = ("occupied", "outcome", "own", "plies")

    own: Bits
    occupied: Bits
    plies: NDArray[np.int64]
    outcome: NDArray[np.int8]

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
        """Seat of the player to move, (N,): 0 for the player who made the first move of the game, 1 for the other."""
        return self.plies % 2

    @property
    def returns(self) -> NDArray[np.float32]:
        """What each seat has won, (N, 2) float32; whoever makes an illegal move loses."""
        of_mover = mover_reward(self.outcome).astype(np.float32)
        # An illegal move is not counted among the plies, so it is still its player's turn.
        moved_last = np.where(self.outcome == Outcome.ILLEGAL, self.seat, 1 - self.seat)
        of_first = np.where(moved_last == 0, of_mover, -of_mover)
        return np.stack([of_first, -of_first], axis=1)

    @property
    def opponent(self) -> Bits:
        """Discs of the player whose turn it is not, (N,) uint64."""
        return self.own ^ self.occupied

    def legal(self) -> Mask:
        """Return the legal columns, (N, 7) bool: those with room for a disc, and none in finished games."""
        return legal_columns(self.occupied) & ~self.over[:, None]

    def observe(self) -> Observation:
        """Return what the players to move see."""
        return Observation(to_planes(self.own, self.occupied), self.legal().astype(np.int8), self)

    def pack(self) -> Bits:
        """Return the words ``own`` and ``occupied``, (N, 2) uint64."""
        return np.stack([self.own, self.occupied], axis=1)

    def copy(self) -> Boards:
        """Return boards that are independent of these."""
        return self[:]

    def play(self, columns: Moves) -> NDArray[np.int8]:
        """Drop one disc on every board and return the new ``outcome`` (N,).

        A column that is full or does not exist ends the game as ``ILLEGAL`` and leaves the discs unchanged.

        Raises:
            ValueError: a game is over.
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
