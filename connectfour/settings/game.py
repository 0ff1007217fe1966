"""The setting that says which game is played."""

from __future__ import annotations

import json
import re
from typing import Any

import yaml
from pydantic import Field, model_validator

from connectfour.errors import GameError
from connectfour.games.contract import Game
from connectfour.games.registry import DEFAULT, make_game
from connectfour.settings.base import Settings

_WITH_OPTIONS = re.compile(r"(?P<name>[^()]+)\((?P<options>.*)\)")
_OPTION = re.compile(r"(^|,)\s*(\w+)\s*=\s*")


def parse_game(text: str) -> dict[str, Any]:
    """Return the settings in ``"name"`` or ``"name(option=value, other=value)"``; values are YAML.

    Raises:
        GameError: the options cannot be read.
    """
    match = _WITH_OPTIONS.fullmatch(text.strip())
    if not match:
        return {"name": text}
    names = {option for _, option in _OPTION.findall(match["options"])}
    try:
        options = yaml.safe_load("{" + _OPTION.sub(r"\1 \2: ", match["options"]) + "}")
    except yaml.YAMLError:
        options = None
    if not isinstance(options, dict) or options.keys() != names:
        raise GameError(f"cannot read the options of game {text!r}: write them as {match['name']}(option=value)")
    return {"name": match["name"].strip(), "options": options}


class GameSettings(Settings):
    """The game that is played, also as text: ``game: tictactoe``, ``game: pettingzoo:MODULE(board_size=5)``."""

    name: str = Field(
        DEFAULT,
        description="connect_four, tictactoe, pettingzoo:MODULE, or a class of your own as my_package.nim:Nim",
    )
    options: dict[str, Any] = Field({}, description="options of the game, such as board_size: 5")

    @model_validator(mode="before")
    @classmethod
    def _read_name(cls, values: Any) -> Any:
        return parse_game(values) if isinstance(values, str) else values

    @property
    def rules(self) -> Game:
        """The game itself.

        Raises:
            GameError: there is no such game, or it does not fit a league.
        """
        return make_game(self.name, self.options)

    def __str__(self) -> str:
        """Return the game as ``parse_game`` reads it."""
        options = ", ".join(f"{name}={json.dumps(value)}" for name, value in self.options.items())
        return f"{self.name}({options})" if options else self.name


CONNECT_FOUR = GameSettings()
"""The game of whatever names none."""
