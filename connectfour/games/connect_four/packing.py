"""Packed observations: the form in which positions are sent from env runners to learners.

A packed position is two words, the discs of the player to move and all discs. It takes 16 bytes; planes and action mask
take 91. Code outside this package relies only on the first axis, which counts positions: ``expand`` returns the
observations, and ``children`` the positions one move later.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from connectfour.games.connect_four.bitboard import (
    CELLS,
    COLUMNS,
    Boards,
    EveryMove,
    Mask,
    legal_columns,
    to_planes,
)
from connectfour.games.observation import Observation

ACTIONS = COLUMNS
"""Number of actions."""

MAX_PLIES = CELLS
"""Number of moves in the longest game."""

PACKED_SHAPE = (2,)
"""Shape of one packed position."""

Packed = NDArray[np.uint64]
"""Packed observations, (N, 2)."""


def pack(boards: Boards) -> Packed:
    """Return the observations of the players to move on N boards, packed (N, 2)."""
    return np.stack([boards.own, boards.occupied], axis=1)


def expand(packed: Packed) -> Observation:
    """Return the observations of packed positions (N, 2) from unfinished games."""
    own, occupied = packed[:, 0], packed[:, 1]
    return Observation(to_planes(own, occupied), legal_columns(occupied).astype(np.int8))


@dataclass(frozen=True)
class Children:
    """Every action tried in N positions.

    Attributes:
        values: result of the game for the player who acts, (N, actions) float32: 1 for a win, 0 for a draw, -1 for an
            illegal action. Where the game goes on, it is 0.
        goes_on: whether the game goes on after the action, (N, actions) bool.
        packed: the M positions after the actions in ``goes_on``, row by row, as the opponent sees them, (M, 2).
    """

    values: NDArray[np.float32]
    goes_on: Mask
    packed: Packed


def children(packed: Packed) -> Children:
    """Try every action in packed positions (N, 2) from unfinished games."""
    moves = EveryMove(packed[:, 0], packed[:, 1])
    values = np.where(moves.legal, moves.wins.astype(np.float32), np.float32(-1))
    return Children(values, moves.goes_on, np.stack(moves.children(), axis=1))
