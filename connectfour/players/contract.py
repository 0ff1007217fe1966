"""The one contract of all players."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from connectfour.games.connect_four.bitboard import Columns
from connectfour.games.observation import Observation
from heuristics import State


class Player(Protocol):
    """Chooses a column on each of N boards; ``heuristics.Heuristic`` is an example.

    A player keeps nothing of a game between calls: its memory is ``state``, one row per board. Each call draws exactly
    one uniform number per board from ``rng``, so a batch gets the same columns as its boards one by one.
    """

    @property
    def name(self) -> str:
        """The player's name in tables."""
        ...

    def initial_state(self, boards: int) -> State:
        """Return the memory at the start of ``boards`` games, (boards, k) int64."""
        ...

    def act(self, observation: Observation, state: State, rng: np.random.Generator) -> tuple[Columns, State]:
        """Choose columns (N,) int64 on N boards, and return them with the new state."""
        ...
