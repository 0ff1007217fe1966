"""Random openings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from connectfour.errors import ConfigError
from connectfour.games.connect_four.bitboard import Boards, has_four
from connectfour.games.openings import random_opening_moves, random_openings
from connectfour.games.registry import make_game


def test_openings_have_the_wanted_length() -> None:
    """Every board its own, and none is over."""
    plies = np.arange(4000) % 36
    boards = random_openings(make_game(), plies, np.random.default_rng(0))
    np.testing.assert_array_equal(plies, boards.plies)
    assert isinstance(boards, Boards)
    assert not has_four(boards.own).any()
    assert not has_four(boards.opponent).any()
    assert not boards.over.any()


@pytest.mark.parametrize("draw", [random_openings, random_opening_moves])
def test_openings_longer_than_any_game_are_refused(draw: Any) -> None:
    """A loop that would never end says so."""
    wanted = (np.full(3, 10),) if draw is random_openings else (3, 10)
    with pytest.raises(ConfigError, match=r"^openings of 10 random plies leave no game of tictactoe unfinished"):
        draw(make_game("tictactoe"), *wanted, np.random.default_rng(0))
