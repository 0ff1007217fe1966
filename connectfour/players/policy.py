"""From a network's logits to columns, whatever computed them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from connectfour.game.bitboard import Columns


def choose_columns(logits: NDArray[np.float32], uniform: NDArray[np.float64], *, greedy: bool) -> Columns:
    """Return a column for each row of masked logits (N, 7), -1 where they are not numbers.

    Args:
        logits: illegal columns at the float32 minimum.
        uniform: one number in [0, 1) a row (N,), all the chance there is.
        greedy: take the most probable column instead of sampling.
    """
    # Nobody would notice that weights are broken: NaN passes for the greatest of numbers.
    broken = np.isnan(logits).any(axis=1)
    if greedy:
        return np.where(broken, -1, logits.argmax(axis=1))
    weights = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    cumulative = weights.cumsum(axis=1)
    # The last entry is the sum of all: scaling by it, no draw falls behind the last legal column.
    return np.where(broken, -1, np.argmax(cumulative > uniform[:, None] * cumulative[:, -1:], axis=1))
