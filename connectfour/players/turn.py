"""Single games against people: an agent's next move, and advice on a position."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from connectfour.errors import PlayerError
from connectfour.games.position import Position
from connectfour.players.contract import Player
from connectfour.players.policy import PolicyPlayer, probabilities
from heuristics import Minimax

_SEARCHED_PLIES = 6
_SEARCHED_POSITIONS = 600_000


def choose_action(player: Player, position: Position, seed: int) -> int:
    """Return the action that ``player`` plays next.

    The player's memory is rebuilt from the game, and its randomness from ``seed`` and the ply. The same moves
    therefore get the same answer, even after moves are taken back.

    Raises:
        PlayerError: the player chooses an illegal action.
    """
    state = player.initial_state(1)
    turns = [position]
    if state.size:
        earlier = (position.upto(ply) for ply in range(len(position.actions)))
        turns = [*(each for each in earlier if each.mover == position.mover), position]
    actions = np.zeros(1, dtype=np.int64)
    for turn in turns:
        rng = np.random.default_rng((seed, len(turn.actions)))
        actions, state = player.act(turn.observe(), state, rng)
    action = int(actions[0])
    if action not in position.legal:
        raise PlayerError(f"{player.name} chose an illegal move after {position.moves!r}: choose another opponent")
    return action


@dataclass(frozen=True)
class Advice:
    """What to play, and why.

    Attributes:
        action: the best action.
        probabilities: a network's policy (actions,); None from a search.
        value: a network's expected result for the player to move, from -1 (lost) to 1 (won); None from a search.
    """

    action: int
    probabilities: tuple[float, ...] | None = None
    value: float | None = None


def advise(position: Position, adviser: Player | None = None) -> Advice:
    """Return advice on ``position``, in which the game must not be over.

    The advice comes from ``adviser`` if it is a network, and otherwise from a search of at most 6 plies, fewer where
    there are many actions.

    Raises:
        PlayerError: there is no network, and the game cannot be searched.
    """
    if not isinstance(adviser, PolicyPlayer):
        try:
            search = Minimax(_depth(position.rules.actions), position.rules)
        except ValueError as error:
            raise PlayerError(str(error)) from None
        return Advice(choose_action(search, position, seed=0))
    logits, value = adviser.evaluate(position.observe())
    return Advice(int(logits[0].argmax()), tuple(map(float, probabilities(logits)[0])), float(value[0]))


def _depth(actions: int) -> int:
    """Return the plies that a search of ``_SEARCHED_POSITIONS`` positions can see."""
    depths = range(_SEARCHED_PLIES, 1, -1)
    return next((depth for depth in depths if actions**depth <= _SEARCHED_POSITIONS), 1)
