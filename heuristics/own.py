"""Players of a user's own, by import path."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from connectfour.games.contract import Actions, Game
from connectfour.games.observation import Observation
from connectfour.games.registry import load_own
from heuristics.base import Heuristic, State

_BOARDS = 3


def is_own(name: str) -> bool:
    """Return whether ``name`` is an import path, such as "my_package.rules:Greedy"."""
    module, colon, attribute = name.partition(":")
    return bool(colon) and module != "minimax" and attribute.isidentifier()


def make_own(name: str, game: Game) -> Heuristic:
    """Build a player of the class at an import path, and let it choose once on three boards.

    The class is called with the game if it takes an argument, and without one otherwise. It needs the methods of
    ``Heuristic``; it may be a subclass, but need not.

    Raises:
        GameError: the class cannot be imported.
        ValueError: it cannot be built, lacks a method, raises, or answers with anything but legal actions.
    """
    kind = load_own(name, "heuristic")
    try:
        takes_game = bool(inspect.signature(kind).parameters)
        player = kind(game) if takes_game else kind()
    except Exception as error:  # noqa: BLE001  # whatever the user's code raises
        raise ValueError(f"heuristic {name!r} cannot be built: {type(error).__name__}: {error}") from None
    missing = [method for method in ("initial_state", "act") if not callable(getattr(player, method, None))]
    if missing:
        raise ValueError(f"heuristic {name!r} has no method {missing[0]}: write one, as heuristics.Heuristic has")
    _try(name, player, game)
    return OwnHeuristic(name, player)


class OwnHeuristic(Heuristic):
    """A player of a user's own, whose answers become arrays."""

    def __init__(self, name: str, player: Any) -> None:
        """Let ``player`` choose, under ``name``."""
        self.name, self._player = name, player

    def initial_state(self, boards: int) -> State:
        """Return its memory at the start of ``boards`` games, (boards, k)."""
        return np.asarray(self._player.initial_state(boards), np.int64)

    def act(self, observation: Observation, state: State, rng: np.random.Generator) -> tuple[Actions, State]:
        """Return its actions (N,) and its memory."""
        actions, state = self._player.act(observation, state, rng)
        return np.asarray(actions), np.asarray(state)


def _try(name: str, player: Any, game: Game) -> None:
    """Let ``player`` choose on boards at the start of the game."""
    seen = game.boards(_BOARDS).observe()
    try:
        state = np.asarray(player.initial_state(_BOARDS))
        actions, after = player.act(seen, state, np.random.default_rng(0))
        actions, after = np.asarray(actions), np.asarray(after)
    except Exception as error:  # noqa: BLE001  # whatever the user's code raises
        raise ValueError(
            f"heuristic {name!r} fails on {_BOARDS} boards of {game.name}: {type(error).__name__}: {error}"
        ) from None
    fits = actions.shape == (_BOARDS,) and actions.dtype.kind in "iu" and after.shape == state.shape
    inside = fits and bool(((actions >= 0) & (actions < game.actions)).all())
    if not inside or not seen.action_mask[np.arange(_BOARDS), actions].all():
        raise ValueError(
            f"heuristic {name!r} answers {actions.tolist()!r} on {_BOARDS} boards of {game.name}: return one legal "
            "action for each board, and a state of the same shape"
        )
