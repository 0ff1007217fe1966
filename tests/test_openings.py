"""Random openings."""

from __future__ import annotations

import numpy as np

from connectfour.games.connect_four.bitboard import has_four
from connectfour.games.connect_four.openings import random_openings


def test_openings_have_the_wanted_length() -> None:
    """Every board its own, and none is over."""
    plies = np.arange(4000) % 36
    boards = random_openings(plies, np.random.default_rng(0))
    np.testing.assert_array_equal(plies, boards.plies)
    assert not has_four(boards.own).any()
    assert not has_four(boards.opponent).any()
    assert not boards.over.any()
