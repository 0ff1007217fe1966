"""Small games with what the built-in ones lack, such as chance or several moves in a row, and random play."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from connectfour.games.arrays import ArrayBoards, ArrayGame
from connectfour.games.contract import Actions, Boards, Game, Mask
from connectfour.games.moves import pick_legal
from connectfour.games.observation import Observation
from connectfour.games.openings import random_openings

_SIDE = 2


def _edges_of_boxes() -> NDArray[np.int64]:
    """Return the four edges of each box, (boxes, 4): horizontal edges come first, row by row."""
    across = np.arange(_SIDE * (_SIDE + 1)).reshape(_SIDE + 1, _SIDE)
    down = len(across.ravel()) + np.arange(_SIDE * (_SIDE + 1)).reshape(_SIDE, _SIDE + 1)
    return np.stack([across[:-1], across[1:], down[:, :-1], down[:, 1:]], axis=2).reshape(-1, 4)


_BOXES = _edges_of_boxes()


class DotsBoards(ArrayBoards):
    """Dots and boxes: ``edges`` that are drawn, (N, 12), and the boxes of each seat, (N, 2)."""

    fields = ("edges", "boxes")

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.edges = np.zeros((count, 2 * _SIDE * (_SIDE + 1)), np.bool_)
        self.boxes = np.zeros((count, 2), np.int8)

    def observe(self) -> Observation:
        mine = self.boxes[np.arange(len(self)), self.seat]
        lead = np.stack([mine, self.boxes.sum(axis=1) - mine], axis=1)
        seen = np.concatenate([self.edges, lead], axis=1).astype(np.uint8)
        return Observation(seen, self.legal().astype(np.int8), self)

    def legal(self) -> Mask:
        legal: Mask = ~self.edges & ~self.over[:, None]
        return legal

    def play(self, actions: Actions) -> None:
        if self.over.any():
            raise ValueError("games are over")
        rows, before = np.arange(len(self)), self.edges[:, _BOXES].all(axis=2).sum(axis=1)
        self.edges[rows, actions] = True
        won = self.edges[:, _BOXES].all(axis=2).sum(axis=1) - before
        self.boxes[rows, self.seat] += won.astype(np.int8)
        self.plies = self.plies + 1
        self.over = self.plies == self.edges.shape[1]
        margin = (self.boxes[:, 0] - self.boxes[:, 1]) / len(_BOXES) * self.over
        self.returns = np.stack([margin, -margin], axis=1).astype(np.float32)
        self.seat = np.where(won > 0, self.seat, 1 - self.seat)  # whoever completes a box moves again


class Dots(ArrayGame):
    """Dots and boxes on 2 x 2 boxes."""

    name = "dots"
    actions = 2 * _SIDE * (_SIDE + 1)
    observation_shape = (actions + 2,)
    observation_dtype = np.uint8
    observation_range = (0, len(_BOXES))
    max_plies = actions
    solvable = True

    def boards(self, count: int) -> DotsBoards:
        return DotsBoards(count)


class HighCardBoards(ArrayBoards):
    """The ``cards`` of both seats, (N, 2), and how often the pot was raised, (N,)."""

    fields = ("cards", "raises")
    PLIES = 6
    CARDS = 13

    def __init__(self, cards: NDArray[np.int64]) -> None:
        super().__init__(len(cards))
        self.cards = cards
        self.raises = np.zeros(len(cards), np.int64)

    def observe(self) -> Observation:
        own = self.cards[np.arange(len(self)), self.seat] / self.CARDS
        seen = np.stack([own, self.raises / self.PLIES, self.plies / self.PLIES], axis=1).astype(np.float32)
        return Observation(seen, self.legal().astype(np.int8))

    def legal(self) -> Mask:
        return np.repeat(~self.over[:, None], 2, axis=1)

    def play(self, actions: Actions) -> None:
        if self.over.any():
            raise ValueError("games are over")
        self.raises = self.raises + actions
        self.plies = self.plies + 1
        self.seat = 1 - self.seat
        self.over = self.plies == self.PLIES
        won = np.sign(self.cards[:, 0] - self.cards[:, 1]) * (1 + self.raises) / (1 + self.PLIES) * self.over
        self.returns = np.stack([won, -won], axis=1).astype(np.float32)


class HighCard(ArrayGame):
    """Two players raise or pass; then the higher card wins the pot. A player sees its own card alone."""

    name = "high_card"
    actions = 2
    observation_shape = (3,)
    observation_dtype = np.float32
    max_plies = HighCardBoards.PLIES
    has_chance = True

    def __init__(self) -> None:
        self.seed(0)

    def seed(self, seed: int) -> None:
        self._chance = np.random.default_rng(seed)

    def boards(self, count: int) -> HighCardBoards:
        return HighCardBoards((self._chance.random((count, 2)) * HighCardBoards.CARDS).astype(np.int64))

    def unpack(self, packed: NDArray[np.uint8]) -> None:
        """Tell no search what the opponent holds."""
        return


def random_actions(boards: Boards, rng: np.random.Generator) -> Actions:
    """Draw a legal action for each board, (N,)."""
    return pick_legal(boards.legal(), rng.random(len(boards)))


def after_random_plies(game: Game, count: int, plies: int, seed: int = 0) -> Boards:
    """Return ``count`` unfinished positions after random actions."""
    return random_openings(game, np.full(count, plies), np.random.default_rng(seed))


def all_that_boards_tell(boards: Boards) -> dict[str, NDArray[Any]]:
    """Return everything that boards tell."""
    observation = boards.observe()
    told = {name: getattr(boards, name) for name in ("seat", "plies", "over", "returns")}
    told |= {"planes": observation.planes, "mask": observation.action_mask, "legal": boards.legal()}
    told["packed"] = boards.pack()
    told["seat"] = np.where(boards.over, 0, boards.seat)  # arbitrary at the end of a game
    return {name: array.copy() for name, array in told.items()}


def assert_same(expected: Mapping[str, NDArray[Any]], found: Mapping[str, NDArray[Any]]) -> None:
    """Compare what boards tell, dtypes included."""
    for name, array in expected.items():
        np.testing.assert_array_equal(array, found[name], err_msg=name)
        assert array.dtype == found[name].dtype, name
