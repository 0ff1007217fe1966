"""PPO's learner on lockstep samples: minibatches, loss, schedules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ray.rllib.algorithms.ppo.torch.ppo_torch_learner import PPOTorchLearner
from ray.rllib.core.columns import Columns
from ray.rllib.core.learner.training_data import TrainingData

from connectfour.games.connect_four.bitboard import from_planes
from connectfour.games.contract import Packed
from connectfour.games.registry import make_game
from connectfour.league.members import MAIN
from connectfour.learning.ppo.learner import IMPROVED_POLICY, learner_columns
from tests.leagues import LOCKSTEP, Build


def _in_order(packed: Packed) -> Packed:
    return packed[np.lexsort(packed.T)]


def test_a_learner_takes_each_sample_once_an_epoch(build: Build) -> None:
    """In minibatches of nearly equal size, as planes and masks of the positions that were sampled."""
    algorithm = build(*LOCKSTEP)
    samples = algorithm.env_runner.sample()
    learner = algorithm.learner_group._learner
    minibatches = list(
        learner._create_iterator_if_necessary(
            training_data=TrainingData(batch=samples.to_batch()),
            num_epochs=2,
            num_total_minibatches=10,
        )
    )
    sizes = [len(each[MAIN]) for each in minibatches]
    assert max(sizes) - min(sizes) <= 1
    for epoch in (minibatches[:5], minibatches[5:]):
        planes = np.concatenate([each[MAIN]["obs"]["observation"].numpy() for each in epoch])
        found = np.stack(from_planes(planes), axis=1)
        np.testing.assert_array_equal(_in_order(samples.packed), _in_order(found))
    assert (minibatches[0][MAIN]["actions"] != minibatches[5][MAIN]["actions"]).any(), "another order each epoch"


def test_the_loss_is_rllibs(build: Build) -> None:
    """On samples that were already learned from, so that some ratios are clipped; the lookahead term comes on top."""
    algorithm = build(*LOCKSTEP, "lookahead.share=0.5", "ppo.learning_rate=0.02")
    samples = algorithm.env_runner.sample().standardized()
    learner = algorithm.learner_group._learner
    columns: dict[str, Any] = {**learner_columns(make_game(), samples, learner.device)}
    columns[Columns.OBS] = {name: columns.pop(name) for name in ("observation", "action_mask")}
    columns[Columns.ACTION_DIST_INPUTS] = (
        learner.module[MAIN].forward_train(columns)[Columns.ACTION_DIST_INPUTS].detach()
    )
    algorithm._learn(samples)
    given = {"module_id": MAIN, "config": learner.config, "fwd_out": learner.module[MAIN].forward_train(columns)}
    target = columns.pop(IMPROVED_POLICY)
    expected = PPOTorchLearner.compute_loss_for_module(learner, batch=columns, **given)
    found = learner.compute_loss_for_module(batch=columns, **given)
    torch.testing.assert_close(expected, found, rtol=1e-4, atol=1e-6)
    with_target = learner.compute_loss_for_module(batch={**columns, IMPROVED_POLICY: target}, **given)
    rows = target.sum(dim=1) > 0
    logits = given["fwd_out"][Columns.ACTION_DIST_INPUTS][rows]
    cross_entropy = torch.nn.functional.cross_entropy(logits, target[rows])
    torch.testing.assert_close(found + 0.5 * cross_entropy, with_target, rtol=1e-4, atol=1e-5)


def test_schedules_follow_the_progress_of_the_run(build: Build) -> None:
    """From the first value to the last while the run approaches its limit, on the learner itself."""
    algorithm = build(
        *LOCKSTEP, "ppo.learning_rate=1e-3", "ppo.learning_rate_end=1e-5", "stop.env_steps=8192", "stop.minutes=null"
    )
    rates = []
    for _ in range(5):
        learned = algorithm.train()["learners"][MAIN]
        rates.append(float(learned["default_optimizer_learning_rate"]))
    np.testing.assert_allclose(rates, np.linspace(1e-3, 1e-5, 5), rtol=1e-3)
    assert float(learned["curr_entropy_coeff"]) == pytest.approx(0.02)


def test_schedules_continue_after_a_restore(build: Build, tmp_path: Path) -> None:
    """The first update after a restore has the learning rate and entropy weight of the run's progress."""
    limits = ("stop.env_steps=8192", "stop.minutes=null")
    algorithm = build(*LOCKSTEP, *limits)
    for _ in range(3):
        algorithm.train()
    algorithm.save_to_path(str(tmp_path / "checkpoint"))
    other = build(*LOCKSTEP, *limits, folder=tmp_path / "other")
    other.restore_from_path(str(tmp_path / "checkpoint"))
    weights: list[float] = []
    rates: list[float] = []
    learner = other.learner_group._learner
    loss = learner.compute_loss_for_module

    def noting(**kwargs: Any) -> Any:
        weights.append(float(learner.entropy_coeff_schedulers_per_module[MAIN].get_current_value()))
        rates.append(learner.get_optimizer(MAIN).param_groups[0]["lr"])
        return loss(**kwargs)

    learner.compute_loss_for_module = noting
    other.train()
    assert weights[0] == pytest.approx(0.2 + 0.75 * (0.02 - 0.2))
    assert rates[0] == pytest.approx(3e-3 + 0.75 * (1e-4 - 3e-3))
