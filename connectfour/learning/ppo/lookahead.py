"""A one-move lookahead: an auxiliary target for PPO's policy, and a better one for its value.

The policy target of a position is ``softmax(log pi + Q / temperature)``: the policy that gains the most expected value
while staying close to the current one (regularized policy improvement; Grill et al. 2020, "Monte-Carlo tree search as
regularized policy optimization"). Q is the value of the position after each move, exact where the game ends.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from connectfour.games.contract import Game, Packed
from connectfour.learning.rollout import Float32s

# Larger chunks do not fit into a processor's cache.
_POSITIONS_AT_ONCE = 4096


def action_values(game: Game, packed: Packed, value_of: Callable[[Packed], Float32s], gamma: float) -> Float32s:
    """Return the value (N, actions) of each action for the player to move, -1 where it is illegal.

    Args:
        game: the game, which must be searchable.
        packed: packed positions (N, ...) of unfinished games.
        value_of: returns the value (M,) of packed positions (M, ...) for the player to move there.
        gamma: discount of what follows the move.
    """
    after = game.children(packed)
    chunks = range(0, len(after.packed), _POSITIONS_AT_ONCE)
    values = [value_of(after.packed[start : start + _POSITIONS_AT_ONCE]) for start in chunks]
    if values:
        sign = np.where(after.opponent_moves, np.float32(-gamma), np.float32(gamma))
        after.values[after.goes_on] = sign * np.concatenate(values)
    return after.values


def improved_policy(logits: Float32s, values: Float32s, temperature: float) -> Float32s:
    """Return the policy target (N, actions) for masked ``logits`` and action ``values``, both (N, actions)."""
    scores = logits.astype(np.float64) + values / temperature
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    probabilities: Float32s = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return probabilities
