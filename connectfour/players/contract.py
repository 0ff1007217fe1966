"""``Player``: the contract that every player fulfills."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from connectfour.games.contract import Actions
from connectfour.games.observation import Observation
from heuristics import State


class Player(Protocol):
    """Chooses an action on each of N boards.

    Players are stateless: their memory of a game is a row of ``state``, which the caller keeps and passes back. Each
    call draws exactly one uniform number per board, so a batch gets the same actions as its boards would one by one.
    """

    @property
    def name(self) -> str:
        """The name of the player in tables."""
        ...

    def initial_state(self, boards: int) -> State:
        """Return the memory at the start of ``boards`` games, (boards, k)."""
        ...

    def act(self, observation: Observation, state: State, rng: np.random.Generator) -> tuple[Actions, State]:
        """Choose an action on each board.

        Args:
            observation: N positions. A row without legal actions gets an arbitrary one.
            state: memory that ``initial_state`` or the previous call on these boards returned, (N, k). It is not
                modified.
            rng: random number generator.

        Returns:
            Actions (N,) and the new state.
        """
        ...
