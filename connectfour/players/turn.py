"""One game against people: an agent's move, and what it thinks of a position."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from connectfour.errors import PlayerError
from connectfour.games.connect_four.game import Game
from connectfour.players.player import Player
from connectfour.players.policy import PolicyPlayer, probabilities
from heuristics import Minimax

_SEARCHED_PLIES = 6


def choose_column(player: Player, game: Game, seed: int) -> int:
    """Return the column, 0-based, that ``player`` plays next in ``game``.

    Its memory is made again from the game and chance comes from ``seed`` and the number of the move, so that the same
    moves get the same answer, also after moves were taken back.

    Raises:
        PlayerError: it names a column that is not legal.
    """
    state = player.initial_state(1)
    first_turn = game.mover if state.size else len(game.columns)
    columns = np.zeros(1, dtype=np.int64)
    for ply in range(first_turn, len(game.columns) + 1, 2):
        rng = np.random.default_rng((seed, ply))
        columns, state = player.act(*game.upto(ply).observe(), state, rng)
    column = int(columns[0])
    if column not in game.legal:
        raise PlayerError(f"{player.name} has no move after {game.moves!r}: choose another opponent")
    return column


@dataclass(frozen=True)
class Advice:
    """What to play, and why.

    Attributes:
        column: the best one, 0-based.
        probabilities: of the columns (7,) in the policy of a network; None from somebody else.
        value: the expected result for whoever is to move, -1 lost to 1 won; None from somebody else.
    """

    column: int
    probabilities: tuple[float, ...] | None = None
    value: float | None = None


def advise(game: Game, adviser: Player | None = None) -> Advice:
    """Return what ``adviser``, if it is a network, thinks of ``game``, which is not over; else what a search finds."""
    if not isinstance(adviser, PolicyPlayer):
        return Advice(choose_column(Minimax(_SEARCHED_PLIES), game, seed=0))
    logits, value = adviser.evaluate(*game.observe())
    return Advice(int(logits[0].argmax()), tuple(map(float, probabilities(logits)[0])), float(value[0]))
