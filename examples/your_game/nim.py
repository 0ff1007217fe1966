"""Nim as a game of the league: take sticks from one heap; whoever takes the last stick wins.

connectfour train -p game=nim:Nim
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from connectfour.games.arrays import ArrayBoards, ArrayGame
from connectfour.games.contract import Actions, Boards, Mask
from connectfour.games.observation import Observation


class NimBoards(ArrayBoards):
    """N games of Nim in lockstep; ``heaps`` holds the sticks in each heap, (N, heaps)."""

    fields = ("heaps",)

    def __init__(self, count: int, heaps: Sequence[int]) -> None:
        """Set up ``count`` boards with ``heaps`` sticks."""
        super().__init__(count)
        self.heaps = np.tile(np.array(heaps, dtype=np.int8), (count, 1))
        self.largest = max(heaps)

    def observe(self) -> Observation:
        """Show one row of sticks per heap, (N, heaps, largest): 1 where there is a stick."""
        sticks = (self.heaps[:, :, None] > np.arange(self.largest)).astype(np.int8)
        return Observation(sticks, self.legal().astype(np.int8), self)

    def legal(self) -> Mask:
        """Action ``heap * largest + n`` takes n + 1 sticks from a heap, which must hold as many."""
        return (self.heaps[:, :, None] > np.arange(self.largest)).reshape(len(self), self.heaps.shape[1] * self.largest)

    def play(self, actions: Actions) -> None:
        """Take sticks on every board."""
        if self.over.any():
            raise ValueError(f"{int(self.over.sum())} of {len(self)} games are over: replace them before the next move")
        boards = np.arange(len(self))
        heap, taken = np.divmod(actions, self.largest)
        self.heaps[boards, heap] -= (taken + 1).astype(np.int8)
        self.over = (self.heaps == 0).all(axis=1)
        of_first = np.where(self.seat == 0, 1, -1) * self.over  # the last stick wins
        self.returns = np.stack([of_first, -of_first], axis=1).astype(np.float32)
        self.plies = self.plies + 1
        self.seat = 1 - self.seat


class Nim(ArrayGame):
    """Nim with any heaps."""

    name = "nim"
    anchors = ("random", "minimax:2")
    solvable = True

    def __init__(self, heaps: Sequence[int] = (3, 4, 5)) -> None:
        """Start with ``heaps`` sticks."""
        self.heaps = tuple(heaps)
        self.actions = len(heaps) * max(heaps)
        self.observation_shape = (len(heaps), max(heaps))
        self.max_plies = sum(heaps)

    def boards(self, count: int) -> NimBoards:
        """Return ``count`` boards at the start."""
        return NimBoards(count, self.heaps)

    def action_name(self, action: int) -> str:
        """Name actions like ``b2``: two sticks from the second heap."""
        heap, taken = divmod(action, max(self.heaps))
        return f"{chr(ord('a') + heap)}{taken + 1}"

    def text(self, boards: Boards) -> str:
        """Draw the heaps of the first board."""
        first = boards[:1].observe().planes[0].sum(axis=1)
        return "\n".join(
            f"{chr(ord('a') + heap)} {'| ' * sticks}".rstrip() for heap, sticks in enumerate(first.tolist())
        )
