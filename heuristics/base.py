"""``Heuristic``: the base class of rule-based players, and helpers that they share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from connectfour.games.connect_four.bitboard import CENTER_FIRST, Bits, Boards, from_planes
from connectfour.games.contract import Actions, Mask
from connectfour.games.observation import Observation

State = NDArray[np.int64]
"""A player's memory of N games, (N, k); k is fixed for each player and may be 0."""


class Heuristic(ABC):
    """Chooses an action on each of N boards by a rule.

    A heuristic is a ``connectfour.players.contract.Player``: it is stateless, and each call draws one uniform number
    per board.

    Attributes:
        name: the name under which ``make_heuristic`` builds it.
        state_size: number of integers that it remembers per game.
    """

    name: str
    state_size: ClassVar[int] = 0

    def initial_state(self, boards: int) -> State:
        """Return the memory at the start of ``boards`` games, (boards, state_size)."""
        return np.zeros((boards, self.state_size), dtype=np.int64)

    @abstractmethod
    def act(self, observation: Observation, state: State, rng: np.random.Generator) -> tuple[Actions, State]:
        """Choose an action on each board.

        Args:
            observation: N positions. A row without legal actions gets an arbitrary one.
            state: memory that ``initial_state`` or the previous call on these boards returned, (N, state_size).
            rng: random number generator.

        Returns:
            Actions (N,) and the new state.
        """


class ConnectFourHeuristic(Heuristic):
    """Chooses a column of Connect Four on bitboards."""

    def act(self, observation: Observation, state: State, rng: np.random.Generator) -> tuple[Actions, State]:
        """Choose a column on each board, from the bitboards themselves where they are at hand."""
        boards = observation.boards
        if isinstance(boards, Boards):
            own, occupied = boards.own, boards.occupied
        else:
            own, occupied = from_planes(observation.planes)
        return self.choose(own, occupied, observation.action_mask != 0, state, rng.random(len(own)))

    @abstractmethod
    def choose(
        self, own: Bits, occupied: Bits, legal: Mask, state: State, uniform: NDArray[np.float64]
    ) -> tuple[Actions, State]:
        """Choose columns on bitboards.

        Args:
            own: discs of the player to move, (N,).
            occupied: all discs, (N,).
            legal: legal columns, (N, 7).
            state: memory, (N, state_size).
            uniform: one number in [0, 1) per board (N,), the only source of randomness.

        Returns:
            Columns (N,) and the new state.
        """


def best_action(scores: NDArray[np.integer], legal: Mask, preference: Actions = CENTER_FIRST) -> Actions:
    """Return the legal action (N,) with the highest score (N, actions); ties go to the first in ``preference``."""
    ranked = scores.astype(np.int64) * len(preference) - np.argsort(preference)
    actions: Actions = np.argmax(np.where(legal, ranked, np.iinfo(np.int64).min), axis=1)
    return actions
