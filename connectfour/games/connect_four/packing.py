"""Packed observations: what travels from env runners to learners, and the one place that expands it.

A packed position is two words, the discs of the player to move and all discs: 16 bytes instead of the 91 of planes and
action mask. Outside of this folder a packed observation is an array whose first axis counts positions, and no more.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from connectfour.games.connect_four.bitboard import (
    BOARD,
    CELLS,
    COLUMNS,
    Boards,
    Mask,
    has_four,
    landing_cells,
    legal_columns,
    to_planes,
)
from connectfour.games.observation import Observation

ACTIONS = COLUMNS
"""Number of actions."""

MAX_PLIES = CELLS
"""Length of the longest game."""

PACKED_SHAPE = (2,)
"""Shape of one packed position."""

Packed = NDArray[np.uint64]
"""Packed observations, (N, 2)."""


def pack(boards: Boards) -> Packed:
    """Return what the players to move see on N boards, packed: (N, 2) uint64."""
    return np.stack([boards.own, boards.occupied], axis=1)


def expand(packed: Packed) -> Observation:
    """Return packed positions (N, 2), whose games go on, as planes (N, 6, 7, 2) and action mask (N, 7), int8."""
    own, occupied = packed[:, 0], packed[:, 1]
    return Observation(to_planes(own, occupied), legal_columns(occupied).astype(np.int8))


@dataclass(frozen=True)
class Children:
    """Where each action leads from N positions.

    Attributes:
        values: what is known of the result for the player who acts, (N, actions) float32: 1 for a win, 0 for a draw,
            -1 for an illegal action; 0 where the game goes on.
        goes_on: whether the game goes on after the action, (N, actions) bool.
        packed: the positions in which it goes on, seen by the opponent, (M, 2); row by row of ``goes_on``.
    """

    values: NDArray[np.float32]
    goes_on: Mask
    packed: Packed


def children(packed: Packed) -> Children:
    """Return where each action leads from packed positions (N, 2) whose games go on."""
    own, occupied = packed[:, 0, None], packed[:, 1, None]
    landing = landing_cells(packed[:, 1])
    legal, wins = landing != 0, has_four(own | landing)
    next_occupied = occupied | landing
    goes_on = legal & ~wins & (next_occupied != BOARD)
    next_own = np.broadcast_to(own ^ occupied, landing.shape)
    values = np.where(legal, wins.astype(np.float32), np.float32(-1))
    return Children(values, goes_on, np.stack([next_own[goes_on], next_occupied[goes_on]], axis=1))
