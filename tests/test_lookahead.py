"""The one-move lookahead: action values, and the policy target made of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from connectfour.games.connect_four.bitboard import Boards, Outcome
from connectfour.games.contract import Packed
from connectfour.games.openings import random_openings
from connectfour.games.registry import make_game
from connectfour.learning.ppo.lookahead import action_values, improved_policy

GAME = make_game()
GAMMA = 0.9


def _value_of(packed: Packed) -> NDArray[np.float32]:
    """Return an arbitrary value that differs between positions and sides."""
    own, occupied = packed.T
    mixed: NDArray[np.float32] = (own % np.uint64(1009) + occupied % np.uint64(13)).astype(np.float32)
    return np.sin(mixed)


def test_each_column_has_the_value_of_where_it_leads() -> None:
    """1 for a win, 0 for a draw, -1 for an illegal move, else minus the value of the opponent's position."""
    rng = np.random.default_rng(0)
    boards = random_openings(GAME, rng.integers(0, 42, 300), rng)
    found = action_values(GAME, boards.pack(), _value_of, GAMMA)
    seen = set()
    for index in range(len(boards)):
        for column in range(7):
            board = boards[np.array([index])]
            outcome = Outcome(board.play(np.array([column]))[0])
            seen.add(outcome)
            value = -GAMMA * _value_of(board.pack())[0]
            expected = {Outcome.WIN: 1.0, Outcome.DRAW: 0.0, Outcome.ILLEGAL: -1.0}.get(outcome, value)
            assert found[index, column] == np.float32(expected), outcome
    assert seen == set(Outcome)


def test_more_positions_than_are_evaluated_at_once() -> None:
    """Chunks are joined in order."""
    rng = np.random.default_rng(0)
    boards = random_openings(GAME, rng.integers(0, 20, 3000), rng)
    together = action_values(GAME, boards.pack(), _value_of, GAMMA)
    halves = [action_values(GAME, part.pack(), _value_of, GAMMA) for part in (boards[:1500], boards[1500:])]
    np.testing.assert_array_equal(together, np.concatenate(halves))


def test_the_improved_policy_tilts_to_better_columns() -> None:
    """Odds change by exp(difference in value / temperature); masked columns stay at zero."""
    logits = np.log(np.array([[0.5, 0.25, 0.25, 1, 1, 1, 1]], np.float32))
    logits[0, 3:] = np.finfo(np.float32).min
    values = np.array([[0.0, 0.2, 0.0, 1, 1, 1, 1]], np.float32)
    policy = improved_policy(logits, values, temperature=0.1)[0]
    assert policy[3:].tolist() == [0, 0, 0, 0]
    np.testing.assert_allclose(policy[1] / policy[0], 0.5 * np.exp(2), rtol=1e-5)
    np.testing.assert_allclose(policy[2] / policy[0], 0.5, rtol=1e-5)
    np.testing.assert_allclose(policy.sum(), 1, rtol=1e-6)
    even = improved_policy(logits, np.zeros((1, 7), np.float32), temperature=0.1)[0]
    np.testing.assert_allclose(even[:3], [0.5, 0.25, 0.25], rtol=1e-5)


def test_no_positions_have_no_values() -> None:
    """An empty batch gives empty arrays."""
    empty = Boards(0)
    assert action_values(GAME, empty.pack(), _value_of, GAMMA).shape == (0, 7)
    assert improved_policy(np.zeros((0, 7), np.float32), np.zeros((0, 7), np.float32), 0.1).shape == (0, 7)
