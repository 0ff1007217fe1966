"""``Player``: the contract that every player fulfills."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from connectfour.games.connect_four.bitboard import Moves
from connectfour.games.observation import Observation
from heuristics import State


class Player(Protocol):
    """Chooses a column on each of N boards.

    Players are stateless: their memory of a game is a row of ``state``, which the caller keeps and passes back. Each
    call draws exactly one uniform number per board, so a batch gets the same columns as its boards would one by one.
    """

    @property
    def name(self) -> str:
        """The name of the player in tables."""
        ...

    def initial_state(self, boards: int) -> State:
        """Return the memory at the start of ``boards`` games, (boards, k)."""
        ...

    def act(self, observation: Observation, state: State, rng: np.random.Generator) -> tuple[Moves, State]:
        """Choose a column on each board.

        Args:
            observation: N positions. A row without legal columns gets an arbitrary column.
            state: memory that ``initial_state`` or the previous call on these boards returned, (N, k). It is not
                modified.
            rng: random number generator.

        Returns:
            Moves (N,) and the new state.
        """
        ...
