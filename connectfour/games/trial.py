"""Random games that show whether a user's game keeps the contract."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from connectfour.errors import GameError
from connectfour.games.contract import Boards, Game, Symmetry
from connectfour.games.moves import pick_legal

_BOARDS = 16
_SECONDS = 2.0
_DTYPES = (np.int8, np.uint8, np.bool_, np.float32)
_AFTER_A_MOVE = {"seat": "int64", "plies": "int64", "over": "bool", "returns": "float32"}
_ROUNDING = 1e-4


def too_long(game: Game) -> GameError:
    """Return what to raise where a game goes on after ``max_plies``."""
    return GameError(
        f"a game of {game.name} goes on after {game.max_plies} plies, which max_plies says is the most: raise it"
    )


def check_game(game: Game) -> None:
    """Play random games for at most some seconds, and check all that boards tell.

    Raises:
        GameError: the game does not keep the contract; the message says where.
    """
    try:
        _check_description(game)
        _play(game)
        _check_symmetries(game)
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
    for name in ("actions", "max_plies"):
        number = getattr(game, name, None)
        whole = isinstance(number, int | np.integer) and not isinstance(number, bool) and number > 0
        _demand(whole, f"{name} is {number!r}, not a whole number from 1")
    for name in ("observation_shape", "heuristics", "anchors"):
        found = getattr(game, name, None)
        _demand(isinstance(found, tuple) and found, f"{name} is {found!r}, not a tuple with something in it")
    _demand(np.dtype(game.observation_dtype).type in _DTYPES, "observation_dtype is not int8, uint8, bool or float32")
    names = [game.action_name(action) for action in range(game.actions)]
    _demand(len(set(names)) == len(names), "two actions have the same name")
    spaced = next((name for name in names if not name or name.split() != [name]), None)
    _demand(spaced is None, f"the name {spaced!r} of an action has spaces, or is empty")
    _demand(sorted(game.preference) == list(range(game.actions)), "preference is not an order of all actions")


def _play(game: Game) -> None:
    boards, rng, start = game.boards(_BOARDS), np.random.default_rng(0), time.monotonic()
    _demand(len(boards) == _BOARDS, f"boards({_BOARDS}) returns {len(boards)} boards")
    for ply in range(game.max_plies):
        _check_going(game, boards)
        boards.play(pick_legal(boards.legal(), rng.random(len(boards))))
        _check_after(boards, ply + 1)
        boards = boards[~boards.over]
        if not len(boards) or time.monotonic() - start > _SECONDS:
            return
    raise too_long(game)


def _check_going(game: Game, boards: Boards) -> None:
    """Check what boards of unfinished games show."""
    count, seen, legal = len(boards), boards.observe(), boards.legal()
    shape, dtype = (count, *game.observation_shape), np.dtype(game.observation_dtype)
    found = np.shape(seen.planes), seen.planes.dtype.name
    _demand(found == (shape, dtype.name), f"observe shows {found[0]} {found[1]}, not {shape} {dtype.name}")
    low, high = game.observation_range
    inside = (seen.planes >= low) & (seen.planes <= high)
    _demand(inside.all(), f"observe shows {seen.planes[~inside][:1]}, outside of observation_range, {low} to {high}")
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
    for name, dtype in _AFTER_A_MOVE.items():
        found = getattr(boards, name).dtype.name
        _demand(found == dtype, f"{name} has the dtype {found} after a move, not {dtype}")
    over, returns, wrong = boards.over, boards.returns, boards.plies[boards.plies != plies]
    _demand(not len(wrong), f"plies is {wrong[:1]} after {plies} actions")
    _demand(returns.shape == (len(boards), 2), f"returns have the shape {returns.shape}, not {(len(boards), 2)}")
    _demand((np.abs(returns.sum(axis=1)) <= _ROUNDING).all(), "returns do not sum to zero")
    _demand((np.abs(returns) <= 1 + _ROUNDING).all(), "returns are not between -1 and 1")
    _demand(not returns[~over].any(), "returns are not zero while the game goes on")


def _check_symmetries(game: Game) -> None:
    """Play the images of games, and compare what they show."""
    size = int(np.prod(game.observation_shape))
    for number, symmetry in enumerate(game.symmetries):
        sizes = np.shape(symmetry.observation), np.shape(symmetry.actions)
        wanted = (size,), (game.actions,)
        _demand(sizes == wanted, f"symmetry {number} has arrays of the shapes {sizes}, not {wanted}")
        for fault in _differences(game, symmetry):
            _demand(False, f"symmetry {number} is none: {fault}")
    known = {_key(each) for each in game.symmetries}
    _demand(len(known) == len(game.symmetries), "a symmetry is there twice")
    pairs = ((one, other) for one in game.symmetries for other in game.symmetries)
    both = (Symmetry(one.observation[other.observation], one.actions[other.actions]) for one, other in pairs)
    _demand(all(_key(each) in known for each in both), "symmetries: two of them in a row are one that is missing")


def _differences(game: Game, symmetry: Symmetry) -> Iterator[str]:
    """Yield what an image shows otherwise than its game does."""
    rng, plies = np.random.default_rng(0), min(game.max_plies, 30)
    game.seed(0)
    boards = game.boards(_BOARDS)
    game.seed(0)
    images = game.boards(_BOARDS)
    for _ in range(plies):
        seen, image = boards.observe(), images.observe()
        count = len(boards)
        if not np.array_equal(seen.planes.reshape(count, -1)[:, symmetry.observation], image.planes.reshape(count, -1)):
            yield "the image shows another position"
        if not np.array_equal(seen.action_mask[:, symmetry.actions], image.action_mask):
            yield "the image has other legal actions"
        actions = pick_legal(images.legal(), rng.random(count))
        images.play(actions)
        boards.play(symmetry.actions[actions])
        if not np.array_equal(boards.returns, images.returns):
            yield "the image ends otherwise"
        boards, images = boards[~boards.over], images[~images.over]
        if not len(boards):
            return


def _key(symmetry: Symmetry) -> tuple[bytes, bytes]:
    return np.int64(symmetry.observation).tobytes(), np.int64(symmetry.actions).tobytes()
