"""A visitor's game. The server keeps nothing: the browser sends the game with every request, and all of it is checked.

What a browser keeps of a sitting, and what its board draws, is called a view.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from connectfour.app.opponents import Opponents
from connectfour.errors import ConnectFourError, NotationError
from connectfour.games.contract import Game
from connectfour.games.position import Position
from connectfour.games.registry import make_game
from connectfour.games.result import Result
from connectfour.players.turn import advise, choose_action

Seat = Literal["first", "second", "watch"]
View = dict[str, Any]
"""What the board shows, as JSON."""

HIGHEST_TEMPERATURE = 10.0
_SEATS: tuple[Seat, Seat] = ("first", "second")
_SEEDS = 2**32


@dataclass(frozen=True)
class Sitting:
    """A visitor at a board.

    Attributes:
        game: the moves so far.
        seat: ``first`` or ``second`` if the visitor plays, or ``watch``.
        opponent: id of the visitor's opponent; of the agent who moves first if the visitor watches.
        other: id of the agent who moves second if the visitor watches.
        temperature: at which networks play.
        seed: seed of the agents' chance.
        notice: a sentence for the visitor.
        hint: the action that was advised; None if no hint was asked for.
        turn: number of answers so far, which makes each view different from the last one.
    """

    game: Position
    seat: Seat
    opponent: str
    other: str
    temperature: float = 0.0
    seed: int = 0
    notice: str = ""
    hint: int | None = None
    turn: int = 0

    @classmethod
    def of(
        cls,
        view: Mapping[str, Any] | None,
        seat: str,
        opponent: str,
        other: str,
        temperature: float,
        rules: Game | None = None,
    ) -> Sitting:
        """Return the sitting that a browser sends, at a board of ``rules`` (default: Connect Four).

        A ``view`` without a valid game stands for an empty board.
        """
        view = view if isinstance(view, Mapping) else {}
        rules = rules or make_game()
        try:
            game = Position.parse(str(view.get("moves", ""))[: longest_text(rules)], rules)
        except NotationError:
            game = Position((), rules)
        return cls(
            game,
            _seat(seat),
            opponent,
            other,
            min(max(temperature, 0.0), HIGHEST_TEMPERATURE),
            _number(view.get("seed")),
            turn=_number(view.get("turn")),
        )

    @property
    def agents(self) -> tuple[str, str]:
        """Ids of the agents by seat; the visitor takes the place of one of them."""
        return self.opponent, self.other if self.seat == "watch" else self.opponent

    @property
    def visitor(self) -> int | None:
        """The visitor's seat, 0 to move first; None if the visitor watches."""
        return {"first": 0, "second": 1, "watch": None}[self.seat]

    def agent_to_move(self) -> bool:
        """Return whether it is an agent's turn."""
        return not self.game.over and self.game.mover != self.visitor

    def drop(self, action: object) -> Sitting:
        """Return the sitting after the visitor's move, or with a notice why the move is not possible."""
        if self.agent_to_move():
            return replace(self, notice="It is not your turn.")
        try:
            return replace(self, game=self.game.play(action if isinstance(action, int) else -1))
        except NotationError as error:
            return replace(self, notice=_sentence(error))

    def paste(self, moves: str) -> Sitting:
        """Return the sitting after ``moves``, with the visitor to move, or with a notice what is wrong with them.

        A visitor who watches keeps watching.
        """
        try:
            game = Position.parse(moves, self.game.rules)
        except NotationError as error:
            return replace(self, notice=_sentence(error))
        return replace(self, game=game, seat="watch" if self.seat == "watch" else _SEATS[game.mover])

    def take_over(self, moves: object) -> Sitting:
        """Return the sitting after the ``moves`` of a recorded game, with the visitor to move."""
        return replace(self, seat="first").paste(str(moves)[: longest_text(self.game.rules)])

    def swap(self, seed: int) -> Sitting:
        """Return the sitting with the visitor in the other seat, or with the two agents exchanged."""
        if self.seat == "watch":
            swapped = replace(self, opponent=self.other, other=self.opponent)
        else:
            swapped = replace(self, seat="second" if self.seat == "first" else "first")
        return swapped.reseated(seed)

    def reseated(self, seed: int) -> Sitting:
        """Return the sitting after a change of players.

        A game in progress goes on. A finished game keeps its winner, so the new players start a new one.
        """
        return self.restart(seed) if self.game.over else self

    def undo(self) -> Sitting:
        """Return the sitting before the visitor's last move; one move back if the visitor watches."""
        before = self.game.take_back(self.visitor)
        return replace(self, game=before, notice="" if before != self.game else "There is no move to take back.")

    def restart(self, seed: int) -> Sitting:
        """Return the sitting with an empty board."""
        return replace(self, game=self.game.upto(0), seed=seed)

    def advised(self, opponents: Opponents) -> Sitting:
        """Return the sitting with a hint from the strongest network, or from a search if there is no network."""
        if self.game.over:
            return replace(self, notice="The game is over.")
        adviser = opponents.player(opponents.analyst) if opponents.analyst else None
        return replace(self, hint=advise(self.game, adviser).action)

    def answered(self, opponents: Opponents, *, watching: bool = False) -> Sitting:
        """Return the sitting after the agent's move, if it is an agent's turn.

        Two agents who are watched move only with ``watching``, which the browser asks for one move at a time.
        """
        if not self.agent_to_move() or (self.seat == "watch" and not watching):
            return self
        try:
            agent = opponents.player(self.agents[self.game.mover], self.temperature)
            return replace(self, game=self.game.play(choose_action(agent, self.game, self.seed)))
        except ConnectFourError as error:
            return replace(self, notice=_sentence(error))

    def view(self, opponents: Opponents) -> View:
        """Return what the board shows.

        ``moves``, ``seed`` and ``turn`` are what the browser sends back. ``policy`` (actions,) and ``chance`` are the
        analyst's opinion; ``chance`` is the first player's expected points, a draw counting half.
        """
        game = self.game
        shown: View = {
            **board_view(game),
            "seed": self.seed,
            "turn": self.turn + 1,
            "over": game.over,
            "mover": game.mover,
            "open": [] if self.agent_to_move() else list(game.legal),
            "auto": self.seat == "watch" and not game.over,
            "watch": self.seat == "watch",
            "names": [self._name(0), self._name(1)],
            "status": self._status(),
            "notice": self.notice,
            "hint": self.hint,
            "analyst": opponents.analyst,
            "policy": None,
            "chance": None,
        }
        if game.over:
            shown["chance"] = {0: Result.WIN, 1: Result.LOSS, None: Result.DRAW}[game.winner].points
        elif opponents.analyst:
            advice = advise(game, opponents.player(opponents.analyst))
            if advice.value is not None and advice.probabilities is not None:
                chance = (1 + advice.value) / 2
                shown["policy"] = [round(probability, 4) for probability in advice.probabilities]
                shown["chance"] = round(chance if game.mover == 0 else 1 - chance, 4)
        return shown

    def _name(self, seat: int) -> str:
        return "You" if seat == self.visitor else self.agents[seat]

    def _status(self) -> str:
        game = self.game
        if game.winner is not None:
            return "You win!" if game.winner == self.visitor else f"{self._name(game.winner)} wins."
        if game.over:
            return "A draw."
        return "Your turn." if game.mover == self.visitor else f"{self._name(game.mover)} to move."


def board_view(game: Position) -> View:
    """Return the part of a view that says what lies on the board, and how the board looks; nothing without a picture.

    ``cells`` holds row, column and seat of each move, in the order of the moves.
    """
    picture, rules = game.picture, game.rules
    if picture is None:
        return {}
    return {
        "moves": game.moves,
        "board": {
            "rows": picture.rows,
            "columns": picture.columns,
            "kind": picture.kind,
            "place": picture.place,
            "places": [list(place) for place in picture.places],
            "names": [rules.action_name(action) for action in range(rules.actions)],
        },
        "cells": [[*cell, seat] for cell, seat in picture.cells.items()],
        "winning": sorted(map(list, picture.winning)),
    }


def longest_text(rules: Game) -> int:
    """Return how many characters the moves of a game have at most."""
    longest = max(range(rules.actions), key=lambda action: len(rules.action_name(action)))
    return len(rules.format_actions([longest] * rules.max_plies))


def _sentence(error: Exception) -> str:
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}."


def _seat(text: str) -> Seat:
    return "second" if text == "second" else "watch" if text == "watch" else "first"


def _number(value: object) -> int:
    return value % _SEEDS if isinstance(value, int) else 0
