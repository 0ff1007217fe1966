"""The contract of a game: ``Game`` says what the game is, ``Boards`` hold N of its positions in lockstep.

Two players take part, in seats 0 and 1; what one wins, the other loses. Who moves follows from the position, never from
the number of plies: a seat may move several times in a row. A player sees an ``Observation`` of its own, so a position
may hold what it does not know. ``connectfour.games.arrays`` has a base for games whose positions are arrays.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from connectfour.errors import NotationError
from connectfour.games.observation import Observation
from connectfour.games.picture import Picture

Actions = NDArray[np.int64]
Mask = NDArray[np.bool_]
Index = NDArray[np.integer] | Mask | slice
Packed = NDArray[Any]
"""N packed positions; only the game knows what follows the first axis."""


class Boards(ABC):
    """N positions in lockstep."""

    @abstractmethod
    def __len__(self) -> int:
        """Return N."""

    @abstractmethod
    def __getitem__(self, index: Index) -> Self:
        """Return the boards that ``index`` selects, for whoever does not go on with the original ones."""

    @abstractmethod
    def copy(self) -> Self:
        """Return boards that are independent of these."""

    @abstractmethod
    def assign(self, index: NDArray[np.integer] | Mask, boards: Self) -> None:
        """Overwrite the boards that ``index`` selects with ``boards``, which are not used afterward."""

    @property
    @abstractmethod
    def seat(self) -> NDArray[np.int64]:
        """The seat to move, (N,): 0 or 1; arbitrary where the game is over."""

    @property
    @abstractmethod
    def plies(self) -> NDArray[np.int64]:
        """Actions played since the start, (N,)."""

    @property
    @abstractmethod
    def over(self) -> Mask:
        """Which games have ended, (N,) bool."""

    @property
    @abstractmethod
    def returns(self) -> NDArray[np.float32]:
        """What each seat has won, (N, 2) float32 from -1 to 1 that sum to zero; zeros where the game goes on."""

    @abstractmethod
    def observe(self) -> Observation:
        """Return what the players to move see."""

    @abstractmethod
    def legal(self) -> Mask:
        """Return the legal actions, (N, actions) bool; none in finished games."""

    @abstractmethod
    def play(self, actions: Actions) -> Any:
        """Play one legal action (N,) on every board.

        Raises:
            ValueError: a game is over.
        """

    @abstractmethod
    def pack(self) -> Packed:
        """Return what travels to a learner, (N, ...): enough for ``Game.expand``."""


@dataclass(frozen=True)
class Children:
    """Every action tried in N positions.

    Attributes:
        legal: whether the action is legal, (N, actions) bool.
        values: result of the game for the player who acts, (N, actions) float32: -1 for an illegal action, and 0 where
            the game goes on.
        goes_on: whether the game goes on after the action, (N, actions) bool.
        packed: the M positions after the actions in ``goes_on``, row by row, as the player to move sees them, (M, ...).
        opponent_moves: whether the other player moves there, (M,) bool.
    """

    legal: Mask
    values: NDArray[np.float32]
    goes_on: Mask
    packed: Packed
    opponent_moves: Mask


@dataclass(frozen=True)
class Symmetry:
    """An image of all positions in which the game is the same, such as the mirror image of a board.

    Attributes:
        observation: at index i, the index in the flattened observation of what the image shows at index i, (size,)
            int64.
        actions: at index i, the action that is called i in the image, (actions,) int64.
    """

    observation: NDArray[np.int64]
    actions: Actions


class Game(ABC):
    """A two-player, zero-sum game.

    Attributes:
        name: its name in settings, files and messages.
        options: the options that it was made with.
        actions: number of actions.
        observation_shape: shape of what a player sees.
        observation_dtype: dtype of what a player sees: int8, uint8, bool or float32.
        observation_range: the smallest and the largest number in it.
        max_plies: number of actions in the longest game.
        encoder: the encoder that networks have unless the settings say otherwise.
        heuristics: the opponents that a pool starts with unless the settings say otherwise.
        anchors: the heuristics that take part in every ranking of this game.
        opening_plies: random plies before a game of a match or ranking unless the command says otherwise.
        settings: other settings that have another default in this game, as nested values.
        has_chance: whether chance plays along, such as cards that are dealt: a list of actions then tells a game only
            together with the seed of its boards, so games of matches and rankings begin without openings.
        solvable: whether it is small enough to list all positions: they then grade players.
        symmetries: all images in which the game is the same, itself first; empty where they are unknown or there are
            none.
        preference: the actions in the order in which heuristics break ties.
        environment: where the name of its RLlib environment stands, whose module registers it.
        opening_batch: how many openings are drawn at once, where a few cost as much as many.
    """

    name: str
    actions: int
    observation_shape: tuple[int, ...]
    max_plies: int
    observation_dtype: Any = np.int8
    observation_range: tuple[float, float] = (0, 1)
    options: Mapping[str, Any] = MappingProxyType({})
    encoder: ClassVar[str] = "mlp"
    heuristics: tuple[str, ...] = ("random",)
    anchors: tuple[str, ...] = ("random",)
    opening_plies: int = 2
    has_chance: bool = False
    solvable: bool = False
    settings: Mapping[str, Any] = MappingProxyType({})
    environment: ClassVar[str] = "connectfour.games.env:ENV_NAME"
    opening_batch: ClassVar[int] = 1024

    @abstractmethod
    def boards(self, count: int) -> Boards:
        """Return ``count`` boards at the start of the game."""

    def seed(self, seed: int) -> None:
        """Let chance, such as the cards that are dealt, follow ``seed`` on boards made from now on.

        The league calls it before it makes boards.
        """
        return

    @abstractmethod
    def expand(self, packed: Packed) -> Observation:
        """Return the observations of packed positions (N, ...) from unfinished games."""

    def unpack(self, packed: Packed) -> Boards | None:
        """Return packed positions (N, ...) as boards; None if what is packed does not tell the position."""
        return None

    def children(self, packed: Packed) -> Children:
        """Try every action in packed positions (N, ...) from unfinished games.

        Raises:
            TypeError: the game is not ``searchable``.
        """
        boards = self.unpack(packed)
        if boards is None:
            raise TypeError(f"{self.name} cannot be searched: its packed positions do not tell what follows an action")
        legal, seat = boards.legal(), boards.seat
        rows, actions = np.nonzero(legal)
        after = boards[rows].copy()
        after.play(actions)
        over, mover = after.over, seat[rows]
        values = np.where(legal, np.float32(0), np.float32(-1))
        values[rows, actions] = np.where(over, after.returns[np.arange(len(rows)), mover], 0)
        goes_on = np.zeros_like(legal)
        goes_on[rows, actions] = ~over
        going = after[~over]
        return Children(legal, values, goes_on, going.pack(), going.seat != mover[~over])

    def positions(self, observation: Observation) -> Boards:
        """Return the positions of unfinished games that players see.

        Raises:
            TypeError: only what a player sees is at hand, and it does not tell the position.
        """
        if observation.boards is None:
            raise TypeError(f"an observation of {self.name} does not tell the position")
        boards: Boards = observation.boards
        return boards

    @cached_property
    def searchable(self) -> bool:
        """Whether positions have children: lookahead and ``minimax`` stand on them."""
        return self.unpack(self.packed) is not None

    @cached_property
    def packed(self) -> Packed:
        """A packed position, (1, ...): its shape and dtype are those of all."""
        return self.boards(1).pack()

    @cached_property
    def symmetries(self) -> Sequence[Symmetry]:
        """All images in which the game is the same, itself first; empty where they are unknown or there are none."""
        return ()

    @cached_property
    def preference(self) -> Actions:
        """The actions in the order in which heuristics break ties, (actions,)."""
        return np.arange(self.actions)

    @property
    def observation_bytes(self) -> int:
        """Bytes of a player's observation, without its action mask."""
        return math.prod(self.observation_shape) * int(np.dtype(self.observation_dtype).itemsize)

    def action_name(self, action: int) -> str:
        """Return how people write an action."""
        return str(action)

    def format_actions(self, actions: Sequence[int] | NDArray[np.integer]) -> str:
        """Return a list of actions as text, for logs."""
        return " ".join(self.action_name(int(action)) for action in actions)

    def parse_actions(self, text: str) -> list[int]:
        """Return the actions in a text that ``format_actions`` wrote; whether they are legal is up to the rules.

        Raises:
            NotationError: a word is not an action.
        """
        names = {self.action_name(action): action for action in range(self.actions)}
        words = text.split()
        wrong = next((word for word in words if word not in names), None)
        if wrong is not None:
            raise NotationError(f"{wrong!r} is not an action of {self.name}: choose from {self._example(names)}")
        return [names[word] for word in words]

    def parse_game(self, text: str) -> list[int]:
        """Return the actions of a game from its start, which may go on or be over.

        Raises:
            NotationError: a word is not an action, an action is illegal, or actions follow the end of the game.
        """
        board = self.boards(1)
        actions = self.parse_actions(text)
        for ply, action in enumerate(actions, start=1):
            if board.over[0]:
                raise NotationError(f"the game {text!r} is over after {ply - 1} moves: remove what follows")
            if not board.legal()[0, action]:
                raise NotationError(f"{self.action_name(action)} is illegal at move {ply} of {text!r}: choose another")
            board.play(np.array([action]))
        return actions

    def text(self, boards: Boards) -> str | None:
        """Draw the first of ``boards`` as text; None if the game is not drawn as text."""
        return None

    def picture(self, actions: Sequence[int]) -> Picture | None:
        """Draw the position after legal ``actions`` for films and the web app; None if the game has no picture."""
        return None

    @staticmethod
    def _example(names: Mapping[str, int]) -> str:
        some = list(names)
        return ", ".join(some) if len(some) <= 10 else f"{some[0]}, {some[1]}, ... {some[-1]}"
