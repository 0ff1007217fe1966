"""A game between two players, before and after it is played."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

from connectfour.games.result import Result

Termination = Literal["win", "draw", "illegal", "invalid_result", "exception", "crash", "timeout", "infrastructure"]
"""How a game ended.

By the rules: ``win``, ``draw``. By a fault of the player who lost: ``illegal``, an action that the position does not
allow; ``invalid_result``, an answer that is not an action; ``exception``, its code raised; ``crash``, its process died;
``timeout``, it used up its own time.
Through no fault of either player: ``infrastructure``, the game could not be played and does not count.
"""

TERMINATIONS: tuple[Termination, ...] = get_args(Termination)
PLAYER_FAULTS: tuple[Termination, ...] = ("illegal", "invalid_result", "exception", "crash", "timeout")


class Fault(NamedTuple):
    """What ended a game other than the rules: its kind and a description."""

    kind: Termination
    detail: str


@dataclass(frozen=True)
class GameSpec:
    """A game to be played.

    Attributes:
        id: its number in the log; a game that is retried keeps it.
        first: name of the player in seat 0.
        second: name of the other player.
        opening: the random moves before the players take over, as the game writes them.
    """

    id: int
    first: str
    second: str
    opening: str = ""


@dataclass(frozen=True)
class GameRecord:
    """A game that was played: one line of ``matches.jsonl``.

    Attributes:
        id, first, second, opening: as in ``GameSpec``.
        moves: all moves, including the opening.
        result: how the game ended for ``first``; None if it does not count. The file has 1, 0, -1 or null.
        termination: why it ended.
        seconds: its share of the time that its batch took.
        seed: seed of the batch in which it was played.
        detail: description of the fault, if any.
    """

    id: int
    first: str
    second: str
    opening: str
    moves: str
    result: Result | None
    termination: Termination
    seconds: float
    seed: tuple[int, ...] = ()
    detail: str = ""

    @classmethod
    def of(
        cls,
        game: GameSpec,
        termination: Termination,
        result: Result | None,
        *,
        moves: str | None = None,
        seconds: float = 0.0,
        seed: tuple[int, ...] = (),
        detail: str = "",
    ) -> GameRecord:
        """Return the record of ``game``; by default it ended right after its opening."""
        moves = game.opening if moves is None else moves
        return cls(game.id, game.first, game.second, game.opening, moves, result, termination, seconds, seed, detail)

    @classmethod
    def lost(
        cls, game: GameSpec, loser: str, fault: Fault, *, seconds: float = 0.0, seed: tuple[int, ...] = ()
    ) -> GameRecord:
        """Return the record of ``game`` that ``loser`` lost by ``fault`` right after its opening."""
        result = Result.LOSS if loser == game.first else Result.WIN
        return cls.of(game, fault.kind, result, seconds=seconds, seed=seed, detail=fault.detail)

    def to_json(self) -> dict[str, Any]:
        """Return its line of a log."""
        return {name: value for name, value in vars(self).items() if name != "detail" or value}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> GameRecord:
        """Return the game in a line of a log.

        Raises:
            ValueError, KeyError, TypeError: the line is not a game.
        """
        result = None if row["result"] is None else Result(row["result"])
        game = cls(**{**row, "seed": tuple(row["seed"]), "result": result})
        if game.termination not in TERMINATIONS:
            raise ValueError(game)
        return game

    @property
    def at_fault(self) -> str | None:
        """The player whose fault ended the game, or None."""
        if self.termination not in PLAYER_FAULTS:
            return None
        return self.second if self.result is Result.WIN else self.first

    @property
    def ending(self) -> str:
        """How it ended, in words."""
        if self.result is None:
            return "not played"
        if self.result is Result.DRAW:
            return "draw"
        winner, loser = (self.first, self.second) if self.result is Result.WIN else (self.second, self.first)
        return f"{winner} wins" + (f" by a fault of {loser} ({self.termination})" if self.at_fault else "")
