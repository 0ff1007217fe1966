"""What looking one move ahead tells about a position: an auxiliary target for PPO's policy, and a better value.

The target of a position is ``softmax(log pi + Q / temperature)``: the policy that gains most in expected value while it
stays close to the present one (regularised policy improvement; Grill et al. 2020, "Monte-Carlo tree search as
regularized policy optimization"). Q is the value of the position after each move, exact where the game ends.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from connectfour.games.connect_four.bitboard import BOARD, Bits, has_four, landing_cells

Floats = NDArray[np.float32]

# More at once do not fit into a processor's cache.
_POSITIONS_AT_ONCE = 4096


def action_values(own: Bits, occupied: Bits, value_of: Callable[[Bits, Bits], Floats], gamma: float) -> Floats:
    """Return the value (N, 7) of each column to the player to move, -1 where it is full.

    Args:
        own: discs of the player to move, (N,); the game goes on.
        occupied: all discs, (N,).
        value_of: returns the value (M,) of positions (M,), seen by the player to move there.
        gamma: discount of what follows the move.
    """
    landing = landing_cells(occupied)
    wins = has_four(own[:, None] | landing)
    next_own = np.broadcast_to((own ^ occupied)[:, None], landing.shape)
    next_occupied = occupied[:, None] | landing
    open_ended = np.flatnonzero((landing != 0) & ~wins & (next_occupied != BOARD))
    next_own, next_occupied = next_own.ravel()[open_ended], next_occupied.ravel()[open_ended]
    values = np.where(landing == 0, np.float32(-1), wins.astype(np.float32)).ravel()
    for start in range(0, len(open_ended), _POSITIONS_AT_ONCE):
        part = slice(start, start + _POSITIONS_AT_ONCE)
        values[open_ended[part]] = -gamma * value_of(next_own[part], next_occupied[part])
    by_column: Floats = values.reshape(landing.shape)
    return by_column


def improved_policy(logits: Floats, values: Floats, temperature: float) -> Floats:
    """Return probabilities (N, 7) for masked ``logits`` (N, 7) and action ``values`` (N, 7)."""
    scores = logits.astype(np.float64) + values / temperature
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    probabilities: Floats = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return probabilities
