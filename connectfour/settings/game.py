"""The setting that says which game is played."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from connectfour.games.contract import Game
from connectfour.games.registry import DEFAULT, make_game
from connectfour.settings.base import Settings


class GameSettings(Settings):
    """The game that is played; ``game: tictactoe`` is short for its name alone."""

    name: str = Field(
        DEFAULT,
        description="connect_four, tictactoe, pettingzoo:MODULE, or a class of your own as my_package.nim:Nim",
    )
    options: dict[str, Any] = Field({}, description="options of the game, such as board_size: 5")

    @model_validator(mode="before")
    @classmethod
    def _read_name(cls, values: Any) -> Any:
        return {"name": values} if isinstance(values, str) else values

    @property
    def rules(self) -> Game:
        """The game itself.

        Raises:
            GameError: there is no such game, or it does not fit a league.
        """
        return make_game(self.name, self.options)

    def __str__(self) -> str:
        """Return the game as part of a sentence."""
        options = ", ".join(f"{name}={value}" for name, value in self.options.items())
        return f"{self.name} ({options})" if options else self.name


CONNECT_FOUR = GameSettings()
"""The game of whatever names none."""
