"""What a game's players are graded on: packaged positions, or all positions of a game small enough to list them."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from connectfour.errors import PositionsError
from connectfour.games.contract import Game, Packed
from connectfour.games.registry import DEFAULT
from connectfour.games.trial import too_long
from connectfour.grading.positions import FULL, HALVES, GradedPositions, load_positions

ALL = "all"
"""The positions of both halves."""

_MOST_POSITIONS = 1_000_000


def graded_positions(game: Game, source: str) -> GradedPositions:
    """Return solved positions of ``game``.

    Args:
        game: the game.
        source: ``dev``, ``test``, or ``all`` where all positions are listed; or a CSV file.

    Raises:
        PositionsError: the game is not solved, or the file cannot be read.
    """
    if source not in {*HALVES, ALL}:
        return load_positions(source, game)
    positions = solved_positions(game, source)
    if positions is None:
        raise PositionsError(f"{game.name} has no solved positions {source!r}: name a CSV file of graded positions")
    return positions


def solved_positions(game: Game, half: str) -> GradedPositions | None:
    """Return the half ``dev`` or ``test`` of the solved positions of ``game``, or ``all``; None if there are none.

    Where all positions are listed, the halves are those whose result depends on the action, split at random.
    """
    if game.name == DEFAULT:
        return load_positions(half, game) if half in HALVES else None
    if not game.solvable:
        return None
    solved = solve(game)
    decided = solved.select(solved.decides)
    in_dev = np.random.default_rng(0).permutation(len(decided)) < len(decided) / 2
    return decided if half == ALL else decided.select(in_dev if half == "dev" else ~in_dev)


@lru_cache(maxsize=8)
def solve(game: Game) -> GradedPositions:
    """Return every unfinished position that the game reaches from its start, with the exact score of each action.

    Positions are listed ply by ply, then solved backward from the last. A position that is reached at several plies
    is listed at each of them. A win scores 1 more than the plies that the longest game still has, so sooner is higher.

    Raises:
        PositionsError: there are more than a million positions.
        GameError: games last longer than the game says.
    """
    layers = _list_layers(game)
    best: NDArray[np.int64] = np.zeros(0, np.int64)
    scores: list[NDArray[np.int64]] = []
    for ply in reversed(range(len(layers))):
        found = _score_layer(game, layers[ply][0], ply, best, layers[ply + 1][0] if ply + 1 < len(layers) else None)
        best = found.max(axis=1)
        scores.append(found)
    moves = [each for _, reached in layers for each in reached]
    return GradedPositions(moves, np.concatenate(scores[::-1]), game)


def _list_layers(game: Game) -> list[tuple[Packed, list[tuple[int, ...]]]]:
    """Return the unfinished positions after each number of plies, sorted, with actions that lead to each."""
    start = game.boards(1).pack()
    layers: list[tuple[Packed, list[tuple[int, ...]]]] = [(start, [()])]
    total = 1
    while True:
        packed, reached = layers[-1]
        after = game.children(packed)
        if not len(after.packed):
            return layers
        keys, first = np.unique(_keys(after.packed), return_index=True)
        parents, actions = (each[first] for each in np.nonzero(after.goes_on))
        moves = [(*reached[row], action) for row, action in zip(parents.tolist(), actions.tolist(), strict=True)]
        layers.append((after.packed[first], moves))
        if len(layers) > game.max_plies:
            raise too_long(game)
        total += len(keys)
        if total > _MOST_POSITIONS:
            raise PositionsError(f"{game.name} has over {_MOST_POSITIONS:,} positions: do not call it solvable")


def _score_layer(
    game: Game, packed: Packed, ply: int, best_after: NDArray[np.int64], next_layer: Packed | None
) -> NDArray[np.int64]:
    """Return the scores (N, actions) of a layer, given the best scores of the next one."""
    after = game.children(packed)
    if_over = np.sign(after.values).astype(np.int64) * (game.max_plies - ply)
    scores = np.where(after.legal, if_over, FULL)
    if next_layer is not None and len(after.packed):
        of_child = best_after[np.searchsorted(_keys(next_layer), _keys(after.packed))]
        scores[after.goes_on] = np.where(after.opponent_moves, -of_child, of_child)
    return scores


def _keys(packed: Packed) -> NDArray[np.void]:
    """Return each packed position as one value that can be sorted."""
    rows = np.ascontiguousarray(packed.reshape(len(packed), -1))
    return rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).ravel()
