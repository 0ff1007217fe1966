"""Connect Four as a ``Game``.

A packed position is two words, the discs of the player to move and all discs. It takes 16 bytes; planes and action mask
take 91.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from types import MappingProxyType
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from connectfour.games.connect_four import GAME
from connectfour.games.connect_four.bitboard import (
    CELLS,
    CENTER_FIRST,
    COLUMNS,
    ROWS,
    Bits,
    Boards,
    EveryMove,
    from_planes,
    legal_columns,
    to_planes,
)
from connectfour.games.connect_four.notation import ascii_board, format_moves, parse_columns, parse_moves
from connectfour.games.connect_four.picture import draw_position
from connectfour.games.contract import Actions, Children, Game, Symmetry
from connectfour.games.observation import Observation
from connectfour.games.picture import Picture


class ConnectFour(Game):
    """Connect Four on bitboards, with the observations of PettingZoo's ``connect_four_v3``."""

    name = GAME
    actions = COLUMNS
    observation_shape = (ROWS, COLUMNS, 2)
    max_plies = CELLS
    encoder: ClassVar[str] = "lines"
    heuristics = ("random", "always_same", "beat_last", "linear", "tactical")
    anchors = ("random", "tactical", "minimax:2", "minimax:4")
    opening_plies = 4
    environment: ClassVar[str] = "connectfour.games.connect_four.env:ENV_NAME"
    opening_batch: ClassVar[int] = 8192
    settings = MappingProxyType({})

    @override
    def boards(self, count: int) -> Boards:
        return Boards(count)

    @override
    def expand(self, packed: Bits) -> Observation:
        own, occupied = packed[:, 0], packed[:, 1]
        return Observation(to_planes(own, occupied), legal_columns(occupied).astype(np.int8))

    @override
    def unpack(self, packed: Bits) -> Boards:
        boards = Boards(0)
        boards.own, boards.occupied = packed[:, 0].copy(), packed[:, 1].copy()
        boards.outcome = np.zeros(len(packed), dtype=np.int8)
        boards.plies = np.bitwise_count(packed[:, 1]).astype(np.int64)
        return boards

    @override
    def children(self, packed: Bits) -> Children:
        moves = EveryMove(packed[:, 0], packed[:, 1])
        values = np.where(moves.legal, moves.wins.astype(np.float32), np.float32(-1))
        after = np.stack(moves.children(), axis=1)
        return Children(moves.legal, values, moves.goes_on, after, np.ones(len(after), dtype=np.bool_))

    @override
    def positions(self, observation: Observation) -> Boards:
        if isinstance(observation.boards, Boards):
            return observation.boards
        return self.unpack(np.stack(from_planes(observation.planes), axis=1))

    @cached_property
    @override
    def symmetries(self) -> tuple[Symmetry, ...]:
        """The board and its mirror image."""
        numbers = np.arange(2 * CELLS).reshape(self.observation_shape)
        columns = np.arange(COLUMNS)
        return (
            Symmetry(numbers.ravel(), columns),
            Symmetry(numbers[:, ::-1].ravel(), columns[::-1].copy()),
        )

    @cached_property
    @override
    def preference(self) -> Actions:
        return CENTER_FIRST

    @override
    def action_name(self, action: int) -> str:
        return str(action + 1)

    @override
    def format_actions(self, actions: Sequence[int] | NDArray[np.integer]) -> str:
        return format_moves(actions)

    @override
    def parse_actions(self, text: str) -> list[int]:
        return parse_columns(text)

    @override
    def parse_game(self, text: str) -> list[int]:
        return parse_moves(text)

    @override
    def text(self, boards: Boards) -> str:  # type: ignore[override]  # its own boards
        return ascii_board(boards)

    @override
    def picture(self, actions: Sequence[int]) -> Picture:
        return draw_position(actions)
