"""A game between two players, before and after it was played."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

Termination = Literal["win", "draw", "illegal", "invalid_result", "exception", "crash", "timeout", "infrastructure"]
"""How a game ended.

By the rules: ``win``, ``draw``. By a fault of the player who lost: ``illegal``, a full column; ``invalid_result``, no
column at all; ``exception``, its code raised; ``crash``, its process died; ``timeout``, it did not answer. By nobody's:
``infrastructure``, the game could not be played, and counts for nobody.
"""

TERMINATIONS: tuple[Termination, ...] = get_args(Termination)
PLAYER_FAULTS: tuple[Termination, ...] = ("illegal", "invalid_result", "exception", "crash", "timeout")


@dataclass(frozen=True)
class GameSpec:
    """A game to be played.

    Attributes:
        id: its number in the log; a game that is played again keeps it.
        first: name of the player who moves first from the empty board.
        second: name of the other.
        opening: the moves that both are given, as a move string.
    """

    id: int
    first: str
    second: str
    opening: str = ""


@dataclass(frozen=True)
class GameRecord:
    """A game that was played, one line of ``matches.jsonl``.

    Attributes:
        id, first, second, opening: as in ``GameSpec``.
        moves: all moves, those of the opening included.
        result: 1 if ``first`` won, 0 for a draw, -1 if ``second`` won, None if the game counts for nobody.
        termination: how it ended.
        seconds: its share of the time that its batch took.
        seed: of the batch that it was played in.
        detail: what a fault looked like.
    """

    id: int
    first: str
    second: str
    opening: str
    moves: str
    result: int | None
    termination: Termination
    seconds: float
    seed: tuple[int, ...] = ()
    detail: str = ""

    @classmethod
    def of(cls, game: GameSpec, termination: Termination, result: int | None, **rest: Any) -> GameRecord:
        """Return the record of ``game``."""
        played = {"moves": game.opening, "seconds": 0.0, **rest}
        return cls(game.id, game.first, game.second, game.opening, result=result, termination=termination, **played)

    def to_json(self) -> dict[str, Any]:
        """Return its line of a log."""
        return {name: value for name, value in vars(self).items() if name != "detail" or value}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> GameRecord:
        """Return the game of a line of a log.

        Raises:
            ValueError, KeyError, TypeError: it is none.
        """
        game = cls(**{**row, "seed": tuple(row["seed"])})
        if game.termination not in TERMINATIONS or game.result not in {1, 0, -1, None}:
            raise ValueError(game)
        return game

    @property
    def at_fault(self) -> str | None:
        """The player who ended the game by a fault, or None."""
        if self.termination not in PLAYER_FAULTS:
            return None
        return self.second if self.result == 1 else self.first

    @property
    def ending(self) -> str:
        """How it ended, in words."""
        if self.result is None:
            return "not played"
        if self.result == 0:
            return "draw"
        winner, loser = (self.first, self.second) if self.result == 1 else (self.second, self.first)
        return f"{winner} wins" + (f" by a fault of {loser} ({self.termination})" if self.at_fault else "")
