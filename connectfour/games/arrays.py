"""A base for games whose positions are arrays: selecting, copying, packing and unpacking come with it."""

from __future__ import annotations

import math
from abc import abstractmethod
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from connectfour.games.contract import Boards, Game, Index, Mask, Packed
from connectfour.games.observation import Observation


class ArrayBoards(Boards):
    """N positions that ``fields`` describe: arrays that begin with the axis (N,).

    Attributes:
        fields: names of these arrays, which are the whole position.
        seat, plies, over, returns: arrays that a subclass keeps up to date; they are fields by themselves.
    """

    fields: ClassVar[tuple[str, ...]] = ()

    seat: NDArray[np.int64] = np.zeros(0, np.int64)
    plies: NDArray[np.int64] = np.zeros(0, np.int64)
    over: Mask = np.zeros(0, np.bool_)
    returns: NDArray[np.float32] = np.zeros((0, 2), np.float32)

    def __init__(self, count: int) -> None:
        """Set up ``count`` boards at the start; a subclass adds its fields."""
        self.seat = np.zeros(count, np.int64)
        self.plies = np.zeros(count, np.int64)
        self.over = np.zeros(count, np.bool_)
        self.returns = np.zeros((count, 2), np.float32)

    @classmethod
    def all_fields(cls) -> tuple[str, ...]:
        """Return the names of all arrays."""
        return ("seat", "plies", "over", "returns", *cls.fields)

    @abstractmethod
    def observe(self) -> Observation:
        """Return what the players to move see."""

    @override
    def __len__(self) -> int:
        return len(self.seat)

    @override
    def __getitem__(self, index: Index) -> Self:
        selected = self.__class__.__new__(self.__class__)
        selected.__dict__.update(self.__dict__)
        for name in self.all_fields():
            setattr(selected, name, getattr(self, name)[index].copy())
        return selected

    @override
    def copy(self) -> Self:
        return self[:]

    @override
    def assign(self, index: NDArray[np.integer] | Mask, boards: Self) -> None:
        # Into new arrays: ``index`` may be ``over`` itself, and callers may hold the old ones.
        for name in self.all_fields():
            array = getattr(self, name).copy()
            array[index] = getattr(boards, name)
            setattr(self, name, array)

    @override
    def pack(self) -> Packed:
        """Return the bytes of all arrays, (N, bytes) uint8."""
        return np.concatenate([_bytes(getattr(self, name)) for name in self.all_fields()], axis=1)

    def fill(self, packed: Packed) -> None:
        """Take over packed positions (N, bytes), as many as there are boards."""
        start = 0
        for name in self.all_fields():
            array = getattr(self, name)
            end = start + _row_bytes(array)
            # Always a copy: ``packed`` may be read-only.
            part = np.array(packed[:, start:end], order="C")
            setattr(self, name, part.view(array.dtype).reshape(array.shape))
            start = end


class ArrayGame(Game):
    """A game whose boards are ``ArrayBoards``."""

    @override
    def unpack(self, packed: Packed) -> ArrayBoards | None:
        """Return packed positions as boards; override it to return None if players must not know them."""
        return self._filled(packed)

    @override
    def expand(self, packed: Packed) -> Observation:
        return self._filled(packed).observe()

    def _filled(self, packed: Packed) -> ArrayBoards:
        boards = self._board[np.zeros(len(packed), np.int64)]
        boards.fill(packed)
        return boards

    @cached_property
    def _board(self) -> ArrayBoards:
        """A board to fill: new ones would use up chance."""
        board = self.boards(1)
        assert isinstance(board, ArrayBoards)  # noqa: S101  # what the class is for
        return board


def _row_bytes(array: NDArray[Any]) -> int:
    return array.itemsize * math.prod(array.shape[1:])


def _bytes(array: NDArray[Any]) -> NDArray[np.uint8]:
    """Return the bytes of each row of ``array``, (N, bytes); N may be 0."""
    flat = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    return flat.reshape(len(array), _row_bytes(array))
