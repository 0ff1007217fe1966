"""Random games that show whether a user's game keeps the contract."""

from __future__ import annotations

from typing import Any

import numpy as np

from connectfour.errors import GameError
from connectfour.games.contract import Boards, Game
from connectfour.games.moves import pick_legal

_BOARDS = 64
_DTYPES = (np.int8, np.uint8, np.bool_, np.float32)
_NUMBERS = ("actions", "max_plies")
_ROUNDING = 1e-4


def check_game(game: Game) -> None:
    """Play random games, and check all that boards tell.

    Raises:
        GameError: the game does not keep the contract; the message says where.
    """
    try:
        _check_description(game)
        _play(game)
    except _BrokenContractError as error:
        raise GameError(f"game {game.name} does not keep the contract: {error}") from None
    except GameError:
        raise
    except Exception as error:
        raise GameError(f"game {game.name} fails in a random game: {type(error).__name__}: {error}") from error


class _BrokenContractError(Exception):
    """What is wrong, and what would be right."""


def _demand(holds: Any, fault: str) -> None:
    if not holds:
        raise _BrokenContractError(fault)


def _check_description(game: Game) -> None:
    for name in _NUMBERS:
        number = getattr(game, name, None)
        whole = isinstance(number, int | np.integer) and not isinstance(number, bool) and number > 0
        _demand(whole, f"{name} is {number!r}, not a whole number from 1")
    shape = getattr(game, "observation_shape", None)
    _demand(isinstance(shape, tuple) and shape, f"observation_shape is {shape!r}, not a tuple of sizes")
    dtype = np.dtype(game.observation_dtype)
    _demand(dtype.type in _DTYPES, f"observation_dtype is {dtype.name}, not int8, uint8, bool or float32")
    names = [game.action_name(action) for action in range(game.actions)]
    _demand(len(set(names)) == len(names), "two actions have the same name")
    spaced = next((name for name in names if not name or name.split() != [name]), None)
    _demand(spaced is None, f"the name {spaced!r} of an action has spaces, or is empty")


def _play(game: Game) -> None:
    boards, rng = game.boards(_BOARDS), np.random.default_rng(0)
    _demand(len(boards) == _BOARDS, f"boards({_BOARDS}) returns {len(boards)} boards")
    for ply in range(game.max_plies):
        _check_going(game, boards)
        boards.play(pick_legal(boards.legal(), rng.random(len(boards))))
        _check_after(boards, ply + 1)
        boards = boards[~boards.over]
        if not len(boards):
            return
    _demand(False, f"a game goes on after {game.max_plies} plies, which max_plies says is the most")


def _check_going(game: Game, boards: Boards) -> None:
    """Check what boards of unfinished games show."""
    count, seen, legal = len(boards), boards.observe(), boards.legal()
    shape, dtype = (count, *game.observation_shape), np.dtype(game.observation_dtype)
    found = np.shape(seen.planes), seen.planes.dtype.name
    _demand(found == (shape, dtype.name), f"observe shows {found[0]} {found[1]}, not {shape} {dtype.name}")
    _demand(
        legal.shape == (count, game.actions) and legal.dtype == np.bool_,
        f"legal returns {legal.shape} {legal.dtype.name}, not {(count, game.actions)} bool",
    )
    _demand(legal.any(axis=1).all(), "a player has no legal action while the game goes on")
    _demand(
        np.array_equal(seen.action_mask != 0, legal), "the action mask that observe shows is not what legal returns"
    )
    _demand(np.isin(boards.seat, (0, 1)).all(), "seat is neither 0 nor 1")
    again = game.expand(boards.pack())
    _demand(np.array_equal(again.planes, seen.planes), "expand does not show what observe showed before pack")


def _check_after(boards: Boards, plies: int) -> None:
    """Check what boards tell after a ply."""
    over, returns = boards.over, boards.returns
    _demand((boards.plies == plies).all(), f"plies is {boards.plies[0]} after {plies} actions")
    for name, dtype in (("seat", "int64"), ("plies", "int64"), ("over", "bool"), ("returns", "float32")):
        found = getattr(boards, name).dtype.name
        _demand(found == dtype, f"{name} has the dtype {found} after a move, not {dtype}")
    _demand(returns.shape == (len(boards), 2), f"returns have the shape {returns.shape}, not {(len(boards), 2)}")
    _demand((np.abs(returns.sum(axis=1)) <= _ROUNDING).all(), "returns do not sum to zero")
    _demand((np.abs(returns) <= 1 + _ROUNDING).all(), "returns are not between -1 and 1")
    _demand(not returns[~over].any(), "returns are not zero while the game goes on")
