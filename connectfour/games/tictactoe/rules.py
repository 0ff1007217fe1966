"""Tic-tac-toe as a ``Game``: N boards in lockstep on NumPy ``uint16`` bitboards.

Bit i of a word is PettingZoo's action i, which counts cells down the columns::

    0 3 6
    1 4 7
    2 5 8

As in Connect Four, a position is a pair of words: ``own``, the marks of the player to move, and ``occupied``, all
marks. There are only 512 words, so tables say which of them contain a line and which cells they consist of.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from types import MappingProxyType
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from connectfour.games.contract import Actions, Boards, Children, Game, Index, Mask, Symmetry
from connectfour.games.observation import Observation
from connectfour.games.picture import MARKS, Picture
from connectfour.games.tictactoe.picture import draw_position

SIDE = 3
CELLS = SIDE * SIDE

Bits = NDArray[np.uint16]

_BIT: Bits = np.uint16(1) << np.arange(CELLS, dtype=np.uint16)
_GRID = np.arange(CELLS).reshape(SIDE, SIDE)
_LINES: Bits = np.array(
    [_BIT[line].sum() for line in (*_GRID, *_GRID.T, _GRID.diagonal(), _GRID[::-1].diagonal())], dtype=np.uint16
)
_WORDS = np.arange(1 << CELLS, dtype=np.uint16)
_HAS_LINE: Mask = ((_WORDS[:, None] & _LINES) == _LINES).any(axis=1)
_CELLS_OF = ((_WORDS[:, None] & _BIT) != 0).astype(np.int8)

BOARD = np.uint16((1 << CELLS) - 1)
"""Word with the bits of all nine cells."""

_CENTER_FIRST: Actions = np.array([4, 0, 2, 6, 8, 1, 3, 5, 7])


def has_line(marks: Bits) -> Mask:
    """Return which words of ``marks`` (any shape) contain three in a row."""
    found: Mask = _HAS_LINE[marks]
    return found


def to_planes(own: Bits, occupied: Bits) -> NDArray[np.int8]:
    """Return PettingZoo's observation planes, (N, 3, 3, 2) int8: own marks, then the opponent's."""
    planes = np.stack([_CELLS_OF[own], _CELLS_OF[own ^ occupied]], axis=2)
    return planes.reshape(-1, SIDE, SIDE, 2)


def from_planes(planes: NDArray[np.integer]) -> Bits:
    """Return ``own`` and ``occupied``, (N, 2), given PettingZoo's observation planes (N, 3, 3, 2)."""
    words: Bits = (planes.reshape(-1, CELLS, 2) * _BIT[:, None]).sum(axis=1, dtype=np.uint16)
    return np.stack([words[:, 0], words[:, 0] | words[:, 1]], axis=1)


class TicTacToeBoards(Boards):
    """N games in lockstep.

    Attributes:
        own: marks of the player to move, (N,) uint16.
        occupied: all marks, (N,) uint16.
        won: whether the last mark completed a line, (N,) bool.
    """

    __slots__ = ("occupied", "own", "won")

    def __init__(self, own: Bits, occupied: Bits, won: Mask) -> None:
        """Take over the arrays of N positions."""
        self.own, self.occupied, self.won = own, occupied, won

    @override
    def __len__(self) -> int:
        return len(self.own)

    @override
    def __getitem__(self, index: Index) -> TicTacToeBoards:
        return TicTacToeBoards(self.own[index].copy(), self.occupied[index].copy(), self.won[index].copy())

    @override
    def copy(self) -> TicTacToeBoards:
        return self[:]

    @override
    def assign(self, index: NDArray[np.integer] | Mask, boards: TicTacToeBoards) -> None:
        for name in self.__slots__:
            getattr(self, name)[index] = getattr(boards, name)

    @property
    @override
    def seat(self) -> NDArray[np.int64]:
        return self.plies % 2

    @property
    @override
    def plies(self) -> NDArray[np.int64]:
        return np.bitwise_count(self.occupied).astype(np.int64)

    @property
    @override
    def over(self) -> Mask:
        over: Mask = self.won | (self.occupied == BOARD)
        return over

    @property
    @override
    def returns(self) -> NDArray[np.float32]:
        of_first = np.where(self.won, 2 * self.seat - 1, 0).astype(np.float32)  # the other player made the last mark
        return np.stack([of_first, -of_first], axis=1)

    @override
    def observe(self) -> Observation:
        return Observation(to_planes(self.own, self.occupied), self.legal().astype(np.int8), self)

    @override
    def legal(self) -> Mask:
        legal: Mask = (_CELLS_OF[self.occupied] == 0) & ~self.over[:, None]
        return legal

    @override
    def play(self, actions: Actions) -> None:
        """Set one mark on every board.

        Raises:
            ValueError: a game is over, or a cell is not empty.
        """
        if self.over.any():
            raise ValueError(f"{int(self.over.sum())} of {len(self)} games are over: replace them before the next move")
        mark = _BIT[actions]
        if (self.occupied & mark).any():
            raise ValueError(f"{int(((self.occupied & mark) != 0).sum())} of {len(self)} marks are on occupied cells")
        self.won = has_line(self.own | mark)
        self.own = self.own ^ self.occupied
        self.occupied = self.occupied | mark

    @override
    def pack(self) -> Bits:
        """Return the words ``own`` and ``occupied``, (N, 2) uint16."""
        return np.stack([self.own, self.occupied], axis=1)


class TicTacToe(Game):
    """Tic-tac-toe on bitboards, with the observations and actions of PettingZoo's ``tictactoe_v3``."""

    name = "tictactoe"
    actions = CELLS
    observation_shape = (SIDE, SIDE, 2)
    max_plies = CELLS
    encoder: ClassVar[str] = "mlp"
    heuristics = ("random", "minimax:2")
    anchors = ("random", "minimax:2", "minimax:9")
    opening_plies = 2
    solvable = True
    settings = MappingProxyType(
        {
            "rollout": {"mirror_share": 0.95, "mirror_opening_plies": 7, "pool_opening_plies": 3},
            "lookahead": {"share": 1.0},
            "network": {"width": 128, "layers": 2},
        }
    )

    @override
    def boards(self, count: int) -> TicTacToeBoards:
        return self.unpack(np.zeros((count, 2), dtype=np.uint16))

    @override
    def expand(self, packed: Bits) -> Observation:
        own, occupied = packed[:, 0], packed[:, 1]
        return Observation(to_planes(own, occupied), 1 - _CELLS_OF[occupied])

    @override
    def unpack(self, packed: Bits) -> TicTacToeBoards:
        return TicTacToeBoards(packed[:, 0].copy(), packed[:, 1].copy(), np.zeros(len(packed), dtype=np.bool_))

    @override
    def children(self, packed: Bits) -> Children:
        own, occupied = packed[:, :1], packed[:, 1:]
        legal = (occupied & _BIT) == 0
        wins = legal & has_line(own | _BIT)
        occupied_after = occupied | _BIT
        goes_on = legal & ~wins & (occupied_after != BOARD)
        opponent = np.broadcast_to(own ^ occupied, goes_on.shape)
        after = np.stack([opponent[goes_on], occupied_after[goes_on]], axis=1)
        values = np.where(legal, wins.astype(np.float32), np.float32(-1))
        return Children(legal, values, goes_on, after, np.ones(len(after), dtype=np.bool_))

    @override
    def positions(self, observation: Observation) -> TicTacToeBoards:
        if isinstance(observation.boards, TicTacToeBoards):
            return observation.boards
        return self.unpack(from_planes(observation.planes))

    @cached_property
    @override
    def symmetries(self) -> tuple[Symmetry, ...]:
        """The board turned and flipped in all eight ways."""
        flipped = [grid for turns in range(4) for grid in (np.rot90(_GRID, turns), np.rot90(_GRID, turns).T)]
        return tuple(
            Symmetry((2 * cells[:, None] + np.arange(2)).ravel(), cells) for cells in (grid.ravel() for grid in flipped)
        )

    @cached_property
    @override
    def preference(self) -> Actions:
        """The center, then corners, then edges."""
        return _CENTER_FIRST

    @override
    def action_name(self, action: int) -> str:
        return str(action + 1)

    @override
    def text(self, boards: Boards) -> str:
        """Draw the first board. ``X`` marks the cells of the player who moved first, digits are actions.

        The game "5 1 3", for example::

            O 4 7
            2 X 8
            X 6 9
        """
        one = boards[:1]
        assert isinstance(one, TicTacToeBoards)  # noqa: S101  # its own boards
        own, opponent = to_planes(one.own, one.occupied)[0].reshape(CELLS, 2).T
        own_mark, opponent_mark = MARKS if one.seat[0] == 0 else MARKS[::-1]
        cells = np.where(own, own_mark, np.where(opponent, opponent_mark, [str(cell + 1) for cell in range(CELLS)]))
        return "\n".join(" ".join(row) for row in cells.reshape(SIDE, SIDE).T.tolist())

    @override
    def picture(self, actions: Sequence[int]) -> Picture:
        return draw_position(actions)
