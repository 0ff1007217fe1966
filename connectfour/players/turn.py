"""Single games against people: an agent's next move, and advice on a position."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from connectfour.errors import PlayerError
from connectfour.games.connect_four.game import Game
from connectfour.players.contract import Player
from connectfour.players.policy import PolicyPlayer, probabilities
from heuristics import Minimax

_SEARCHED_PLIES = 6


def choose_column(player: Player, game: Game, seed: int) -> int:
    """Return the column, 0-based, that ``player`` plays next in ``game``.

    The player's memory is rebuilt from the game, and its randomness from ``seed`` and the ply. The same moves
    therefore get the same answer, even after moves are taken back.

    Raises:
        PlayerError: the player chooses an illegal column.
    """
    state = player.initial_state(1)
    first_turn = game.mover if state.size else len(game.columns)
    columns = np.zeros(1, dtype=np.int64)
    for ply in range(first_turn, len(game.columns) + 1, 2):
        rng = np.random.default_rng((seed, ply))
        columns, state = player.act(game.upto(ply).observe(), state, rng)
    column = int(columns[0])
    if column not in game.legal:
        raise PlayerError(f"{player.name} chose an illegal move after {game.moves!r}: choose another opponent")
    return column


@dataclass(frozen=True)
class Advice:
    """What to play, and why.

    Attributes:
        column: the best column, 0-based.
        probabilities: a network's policy (7,); None from a search.
        value: a network's expected result for the player to move, from -1 (lost) to 1 (won); None from a search.
    """

    column: int
    probabilities: tuple[float, ...] | None = None
    value: float | None = None


def advise(game: Game, adviser: Player | None = None) -> Advice:
    """Return advice on ``game``, which must not be over.

    The advice comes from ``adviser`` if it is a network, and otherwise from a search of 6 plies.
    """
    if not isinstance(adviser, PolicyPlayer):
        return Advice(choose_column(Minimax(_SEARCHED_PLIES), game, seed=0))
    logits, value = adviser.evaluate(game.observe())
    return Advice(int(logits[0].argmax()), tuple(map(float, probabilities(logits)[0])), float(value[0]))
