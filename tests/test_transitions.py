"""n-step transitions, exploration, and the balance of acting and learning."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from connectfour.apex.balance import Balance
from connectfour.apex.exploration import epsilons, explore, nearly_greedy
from connectfour.apex.transitions import Steps, TransitionBuilder, Transitions

Row = tuple[int, int, float, float, int, float]


def steps(length: int, boards: int, seed: int, *, truncation: float = 0.0, seats: int = 2) -> Steps:
    """Random steps of random seats; the observation is the number of the step and board."""
    rng = np.random.default_rng(seed)
    shape = (length, boards)
    terminated = rng.random(shape) < 0.2
    return Steps(
        observation={"obs": np.arange(length * boards).reshape(shape)},
        action=rng.integers(5, size=shape),
        reward=rng.choice([-1.0, 0.0, 1.0], size=shape).astype(np.float32),
        terminated=terminated,
        cut=terminated | (rng.random(shape) < truncation),
        seat=rng.integers(seats, size=shape).astype(np.int8),
        real=rng.random(shape) < 0.9,
        q_taken=rng.random(shape).astype(np.float32),
        q_best=rng.random(shape).astype(np.float32),
    )


def one_by_one(given: Steps, n: int, discount: float) -> list[Row]:
    """Build each transition from its definition: observation, action, return, discount, next observation, TD error."""
    found: list[Row] = []
    for board in range(given.action.shape[1]):
        for start in range(len(given) - n):
            if not given.real[start, board]:
                continue
            total, factor, step = 0.0, 1.0, start
            while step < start + n:
                total += factor * float(given.reward[step, board])
                passes = given.seat[step, board] != given.seat[step + 1, board]
                factor *= 0.0 if given.terminated[step, board] else -discount if passes else discount
                step += 1
                if given.cut[step - 1, board]:
                    break
            error = total + factor * float(given.q_best[step, board]) - float(given.q_taken[start, board])
            observation = given.observation["obs"]
            found.append(
                (observation[start, board], given.action[start, board], total, factor, observation[step, board], error)
            )
    return sorted(found)


def as_rows(*parts: Transitions) -> list[Row]:
    """The same of what the builder returned."""
    found: list[Row] = []
    for part in parts:
        if len(part):
            names = ("obs", "action", "return", "discount", "next.obs")
            found += zip(*(part.columns[name].tolist() for name in names), part.td_errors.tolist(), strict=True)
    return sorted(found)


@pytest.mark.parametrize("n", [1, 2, 5])
@pytest.mark.parametrize("seats", [1, 2], ids=["one agent", "zero-sum"])
@pytest.mark.parametrize("truncation", [0.0, 0.2])
def test_transitions_follow_their_definition(n: int, seats: int, truncation: float) -> None:
    """Terminated, truncated and ongoing, all at once; the turn may pass to the opponent or not."""
    given = steps(30, 7, n, truncation=truncation, seats=seats)
    np.testing.assert_allclose(
        as_rows(TransitionBuilder(n, 0.9).build(given)), one_by_one(given, n, 0.9), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("n", [1, 3])
def test_rollouts_continue_one_another(n: int) -> None:
    """Cut anywhere, even into rollouts shorter than n, they give the transitions of one long rollout."""
    given, builder = steps(30, 4, 9), TransitionBuilder(n, 0.99)
    edges = [0, 1, 2, 3, 10, 11, 29, 30]
    parts: list[Any] = []
    for start, end in pairwise(edges):
        cut = {name: value[start:end] for name, value in vars(given).items() if name != "observation"}
        parts.append(builder.build(Steps(observation={"obs": given.observation["obs"][start:end]}, **cut)))
    np.testing.assert_allclose(as_rows(*parts), one_by_one(given, n, 0.99), rtol=1e-5, atol=1e-6)


def test_exploration_is_spread_over_the_boards() -> None:
    """As in Ape-X: from epsilon to epsilon ** (1 + alpha)."""
    spread = epsilons(5, 0.4, 7.0)
    np.testing.assert_allclose(spread, [0.4 ** (1 + 7 * i / 4) for i in range(5)])
    np.testing.assert_allclose(epsilons(1, 0.4, 7.0), [0.4])
    np.testing.assert_array_equal(nearly_greedy(spread), spread <= 0.02)
    np.testing.assert_array_equal(nearly_greedy(np.array([0.4, 0.3])), [False, True])


def test_exploration_is_legal_uniform_and_as_frequent_as_its_epsilon() -> None:
    """Illegal actions are never taken, legal ones equally often."""
    rng = np.random.default_rng(0)
    legal = np.tile(np.array([1, 0, 1, 1, 0, 0, 0], np.int8), (100_000, 1))
    epsilon = np.repeat([0.5, 0.0], 50_000)
    action = explore(np.zeros(100_000, np.int64), legal, epsilon, rng)
    assert set(action.tolist()) == {0, 2, 3}
    assert not action[50_000:].any()
    counts = np.bincount(action[:50_000], minlength=7) / 50_000
    np.testing.assert_allclose(counts[[0, 2, 3]], [0.5 + 1 / 6, 1 / 6, 1 / 6], atol=0.01)


class TestBalance:
    """Whichever side is ahead waits."""

    def test_learning_waits_for_the_first_transitions_and_for_each_batch(self) -> None:
        """Each transition is used twice on average."""
        balance = Balance(ratio=2.0, learning_starts=100, batch=50)
        balance.arrived = 99
        assert not balance.may_learn()
        balance.arrived = 100
        assert balance.may_learn()
        balance.used = 200
        assert not balance.may_learn()
        balance.arrived = 125
        assert balance.may_learn()

    def test_acting_waits_when_it_is_two_batches_ahead(self) -> None:
        """Orders under way count."""
        balance = Balance(ratio=2.0, learning_starts=100, batch=50)
        assert balance.may_act(99)
        assert not balance.may_act(100)
        balance.arrived, balance.used = 100, 150
        assert balance.may_act(24)
        assert not balance.may_act(25)

    @pytest.mark.parametrize(("ratio", "held"), [(0.5, 0), (4.0, 1000)])
    def test_neither_side_ever_waits_for_the_other_forever(self, ratio: float, held: int) -> None:
        """Whatever the ratio, and after a restart."""
        balance = Balance(ratio=ratio, learning_starts=100, batch=64)
        balance.restart(held)
        for _ in range(1000):
            assert balance.may_learn() or balance.may_act(0)
            if balance.may_learn():
                balance.used += 64
            if balance.may_act(0):
                balance.arrived += 10
