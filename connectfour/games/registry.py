"""Games by name: the built-in ones, ``pettingzoo:MODULE``, and a user's own as ``package.module:Class``."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from connectfour.errors import ConnectFourError, GameError
from connectfour.games.contract import Game
from connectfour.games.trial import check_game
from connectfour.system.names import load_name

BUILT_IN: Mapping[str, str] = MappingProxyType(
    {
        "connect_four": "connectfour.games.connect_four.rules:ConnectFour",
        "tictactoe": "connectfour.games.tictactoe.rules:TicTacToe",
    }
)
"""The class of each built-in game."""

DEFAULT = "connect_four"
PETTINGZOO = "pettingzoo:"
_PETTINGZOO_CLASS = "connectfour.games.pettingzoo.rules:PettingZooGame"


def make_game(name: str = DEFAULT, options: Mapping[str, Any] | None = None) -> Game:
    """Return a game; the same name and options give the same object.

    Args:
        name: ``connect_four``, ``tictactoe``, ``pettingzoo:MODULE``, or a subclass of ``Game`` as ``module:Class``.
        options: keyword arguments of the game's class, or of the PettingZoo module's ``env``.

    Raises:
        GameError: there is no such game, it does not take these options, or it does not fit a league.
    """
    return _make_game(name, json.dumps(dict(options or {}), sort_keys=True))


@lru_cache(maxsize=64)
def _make_game(name: str, options: str) -> Game:
    values = json.loads(options)
    if name.startswith(PETTINGZOO):
        game: Game = load_name(_PETTINGZOO_CLASS)(name.removeprefix(PETTINGZOO), values)
        return game
    kind = _class_of(name)
    # Checked before it is called: the name may come from a file of a stranger.
    if not (isinstance(kind, type) and issubclass(kind, Game)):
        what = kind.__name__ if isinstance(kind, type) else f"of type {type(kind).__name__}"
        raise GameError(f"game {name} is {what}: name a subclass of connectfour.games.contract.Game")
    try:
        made = kind(**values)
    except TypeError as error:
        raise GameError(f"game {name} cannot be made with options {values}: {error}") from None
    except ConnectFourError:
        raise
    except Exception as error:
        raise GameError(f"game {name} cannot be made with options {values}: {type(error).__name__}: {error}") from error
    made.name, made.options = name, values
    if made.has_chance:
        made.opening_plies = 0  # actions alone do not tell such a game
        made.seed(0)
    if name not in BUILT_IN:
        check_game(made)
    return made


def _class_of(name: str) -> Any:
    """Return the class that ``name`` stands for; a user's module is also found in the working directory."""
    if name in BUILT_IN:
        return load_name(BUILT_IN[name])
    module, colon, attribute = name.partition(":")
    if not colon or not module or not attribute:
        known = ", ".join(BUILT_IN)
        raise GameError(
            f"unknown game {name!r}: choose {known}, pettingzoo:MODULE, or name a class as my_package.nim:Nim"
        )
    return load_own(name, "game")


def load_own(name: str, what: str) -> Any:
    """Import a user's ``module:attribute``, also from the working directory; ``what`` names it in errors.

    Raises:
        GameError: it cannot be imported.
    """
    look_here()
    try:
        return load_name(name)
    except (ImportError, AttributeError, ValueError) as error:
        raise GameError(f"{what} {name} cannot be imported: {error}") from None
    except Exception as error:  # noqa: BLE001  # whatever the user's module raises
        raise GameError(f"{what} {name} cannot be imported: {type(error).__name__}: {error}") from None


def look_here() -> None:
    """Let imports also find modules in the working directory."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
