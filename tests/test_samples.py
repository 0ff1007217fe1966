"""What lockstep env runners sample for PPO."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from connectfour.games.connect_four.bitboard import has_four
from connectfour.games.registry import make_game
from connectfour.league.members import MAIN
from connectfour.learning.ppo.samples import Samples
from tests.leagues import LOCKSTEP, Build


def test_samples_are_mains_moves_and_nothing_else(build: Build) -> None:
    """Legal moves from positions that occur, with the log-probabilities of main's policy, and without slips."""
    algorithm = build(*LOCKSTEP, "rollout.mirror_share=0.5", "rollout.slip_probability=0.2", "precision=float32")
    samples = algorithm.env_runner.sample()
    # Half of the games are mirrors, a fifth of their moves are slips, and half of the other moves are main's.
    assert 2048 * 0.55 < len(samples) < 2048 * 0.75
    rows, observation = np.arange(len(samples)), make_game().expand(samples.packed)
    assert observation.action_mask[rows, samples.action].all()
    network = algorithm.env_runner.module[MAIN].network
    with torch.no_grad():
        logits = network(torch.from_numpy(observation.planes), torch.from_numpy(observation.action_mask)).logits
    expected = torch.log_softmax(logits, dim=1).numpy()[rows, samples.action]
    np.testing.assert_allclose(expected, samples.log_probability, atol=1e-4)
    own, occupied = samples.packed.T
    assert not has_four(own).any()
    assert not has_four(own ^ occupied).any()


def test_joined_samples_are_standardized(build: Build) -> None:
    """Those of several env runners together, and all their columns."""
    samples = build(*LOCKSTEP).env_runner.sample()
    joined = Samples.join([samples, samples]).standardized()
    assert len(joined) == 2 * len(samples)
    assert abs(joined.advantage.mean()) < 1e-3
    assert joined.advantage.std() == pytest.approx(1, abs=1e-3)
    again = Samples.from_batch(joined.to_batch())
    for name, array in vars(joined).items():
        np.testing.assert_array_equal(array, getattr(again, name))


def test_some_positions_have_an_improved_policy(build: Build) -> None:
    """The share in the settings: a distribution over legal actions there, and zeros elsewhere."""
    algorithm = build(*LOCKSTEP, "lookahead.share=0.5")
    samples = algorithm.env_runner.sample()
    target = samples.improved_policy
    total = target.sum(axis=1)
    has_target = total > 0
    assert 0.4 < has_target.mean() < 0.6
    np.testing.assert_allclose(total[has_target], 1, atol=1e-5)
    assert not target[~make_game().expand(samples.packed).action_mask.astype(bool)].any()


def test_a_winning_column_is_most_of_the_improved_policy(build: Build) -> None:
    """Wherever main could win at once, the target of a fresh network's policy moves there, and the value is 1."""
    looking = ("lookahead.share=1.0", "lookahead.temperature=0.1", "lookahead.value_share=1.0")
    algorithm = build(*LOCKSTEP, *looking, "rollout.mirror_opening_plies=20")
    samples = algorithm.env_runner.sample()
    target, wins = samples.improved_policy, make_game().children(samples.packed).values == 1
    here = wins.any(axis=1)
    assert here.sum() > 20
    assert (target[here] * wins[here]).sum(axis=1).mean() > 0.95
    assert (samples.value_target[here] == 1).all()
    assert (np.abs(samples.value_target[~here]) < 1).all()
