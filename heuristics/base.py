"""What all heuristics have in common: they are batched and seeded, and the caller keeps their memory of a game."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from connectfour.games.connect_four.bitboard import CENTRE_FIRST, COLUMNS, Bits, Columns, Mask, from_planes
from connectfour.games.observation import Observation

State = NDArray[np.int64]


class Heuristic(ABC):
    """A rule that chooses a column on each of N boards.

    It keeps nothing between calls: its memory of a game is a row of ``state``, which the caller keeps and passes back.
    Each call draws exactly one uniform number per board from the caller's generator, so a batch gets the same columns
    as its boards one by one.
    """

    name: str
    state_size: ClassVar[int] = 0

    def initial_state(self, boards: int) -> State:
        """Return the memory at the start of ``boards`` games, shape (boards, state_size) int64."""
        return np.zeros((boards, self.state_size), dtype=np.int64)

    def act(self, observation: Observation, state: State, rng: np.random.Generator) -> tuple[Columns, State]:
        """Choose a column on each board.

        Args:
            observation: what the players to move see on N boards; a row without a legal column gets an arbitrary one.
            state: what ``initial_state`` or the last call on these boards returned, (N, state_size).
            rng: source of chance.

        Returns:
            The columns (N,) int64 and the new state.
        """
        own, occupied = from_planes(observation.planes)
        return self.choose(own, occupied, observation.action_mask != 0, state, rng.random(len(own)))

    @abstractmethod
    def choose(
        self, own: Bits, occupied: Bits, legal: Mask, state: State, uniform: NDArray[np.float64]
    ) -> tuple[Columns, State]:
        """Choose columns on bitboards; ``uniform`` (N,) in [0, 1) is all the chance there is."""


_CENTRE_RANK = np.argsort(CENTRE_FIRST)


def best_column(scores: NDArray[np.integer], legal: Mask) -> Columns:
    """Return the legal column with the highest integer score in each row of (N, 7), centre first among equals."""
    ranked = scores.astype(np.int64) * COLUMNS - _CENTRE_RANK
    columns: Columns = np.argmax(np.where(legal, ranked, np.iinfo(np.int64).min), axis=1)
    return columns
