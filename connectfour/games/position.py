"""``Position``: one position of a game, with the actions that led to it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Self

import numpy as np

from connectfour.errors import NotationError
from connectfour.games.contract import Boards, Game
from connectfour.games.moves import play_moves
from connectfour.games.observation import Observation
from connectfour.games.picture import Picture
from connectfour.games.registry import make_game


@dataclass(frozen=True)
class Position:
    """A position that legal actions reach. It is immutable: an action, or taking one back, returns another.

    Attributes:
        actions: the actions.
        rules: the game; Connect Four by default.
        chance: seed of what chance does in the game, such as the cards that are dealt.
    """

    actions: tuple[int, ...] = ()
    rules: Game = field(default_factory=make_game)
    chance: int = 0

    @classmethod
    def parse(cls, moves: str, rules: Game | None = None) -> Self:
        """Return the position after moves in the game's notation; surrounding whitespace is ignored.

        Raises:
            NotationError: ``moves`` is not a game.
        """
        rules = rules or make_game()
        return cls(tuple(rules.parse_game(moves.strip())), rules)

    @property
    def moves(self) -> str:
        """The actions in the game's notation."""
        return self.rules.format_actions(self.actions)

    @property
    def mover(self) -> int:
        """Seat of the player to move."""
        return int(self.board.seat[0])

    @cached_property
    def board(self) -> Boards:
        """The position as boards of length 1."""
        if self.rules.has_chance:
            self.rules.seed(self.chance)
        return play_moves(self.rules, [self.actions])

    @cached_property
    def picture(self) -> Picture | None:
        """The position as people see it; None if the game has no picture."""
        return self.rules.picture(self.actions)

    @property
    def over(self) -> bool:
        """Whether the game has ended."""
        return bool(self.board.over[0])

    @property
    def winner(self) -> int | None:
        """Seat of the winner; None in drawn and unfinished games."""
        returns = self.board.returns[0]
        return int(returns.argmax()) if returns.any() else None

    @property
    def legal(self) -> tuple[int, ...]:
        """The legal actions; none if the game is over."""
        return tuple(int(action) for action in np.flatnonzero(self.board.legal()[0]))

    def observe(self) -> Observation:
        """Return what the player to move sees, as an observation of length 1."""
        return self.board.observe()

    def play(self, action: int) -> Self:
        """Return the position after ``action``.

        Raises:
            NotationError: the game is over, or the action is illegal or does not exist.
        """
        if self.over:
            raise NotationError("the game is over: start a new one or take back a move")
        if action not in self.legal:
            raise NotationError(self._refusal(action))
        return replace(self, actions=(*self.actions, action))

    def _refusal(self, action: int) -> str:
        """Return why ``action`` is not legal and what to choose instead."""
        name, known, picture = self.rules.action_name, 0 <= action < self.rules.actions, self.picture
        if picture and not known:
            return f"there is no {picture.place} {action + 1}: choose {name(0)} to {name(self.rules.actions - 1)}"
        if picture and picture.places[action] in picture.cells:
            state = "full" if picture.kind == "discs" else "taken"
            return f"{picture.place} {name(action)} is {state}: choose another one"
        names = ", ".join(name(each) for each in self.legal)
        return f"{name(action) if known else action} is not legal: choose one of {names}"

    def upto(self, plies: int) -> Self:
        """Return the position after the first ``plies`` actions."""
        return replace(self, actions=self.actions[:plies])

    def take_back(self, seat: int | None) -> Self:
        """Return the position before the last action of the player in ``seat``, or of either if ``seat`` is None.

        If there is no such action, the position is returned unchanged.
        """
        for ply in range(len(self.actions) - 1, -1, -1):
            before = self.upto(ply)
            if seat is None or before.mover == seat:
                return before
        return self
