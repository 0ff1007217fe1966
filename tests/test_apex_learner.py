"""Ape-X's learner: targets, masks, the target network, TD errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from ray.rllib.core.columns import Columns

from connectfour.games.connect_four.notation import parse_board
from connectfour.games.contract import Packed
from connectfour.games.registry import make_game
from connectfour.league.members import MAIN
from connectfour.learning.apex.algorithm import SelfPlayApex
from connectfour.learning.apex.learner import SelfPlayApexLearner
from connectfour.learning.rl_module import as_tensors
from connectfour.networks.masks import ILLEGAL_LOGIT
from connectfour.networks.network import Q_TEMPERATURE, QNetwork
from connectfour.settings.network import Architecture
from tests.leagues import BuildApex

FULL_COLUMN = "444444"
"""A game in which the best-looking column is full."""


def position(moves: str) -> Packed:
    """The packed position after some moves."""
    return parse_board(moves).pack()


def learner_of(algorithm: SelfPlayApex) -> SelfPlayApexLearner:
    learner: SelfPlayApexLearner = algorithm.learner_group._learner
    return learner


def favor(module: Any, column: int) -> None:
    """Make a module's Q-value of ``column`` (0, 1 or 2, and its mirror image) the highest everywhere."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
        module.network.policy_head.even.bias[column] = 1.0


def columns(now: Packed, later: Packed, **scalars: Any) -> dict[str, Any]:
    """A minibatch as the replay would give it."""
    count = len(now)
    defaults = {
        "action": np.zeros(count, np.int8),
        "return": np.zeros(count, np.float32),
        "discount": np.full(count, -0.9, np.float32),
        "weights": np.ones(count, np.float32),
    }
    return {"packed": now, "next.packed": later, **defaults, **scalars}


def td_errors(learner: SelfPlayApexLearner, stored: dict[str, Any]) -> np.ndarray:
    """The TD errors of a minibatch, without learning from it."""
    (batch,) = learner._minibatches(stored, [0, len(stored["action"])])
    part = batch[MAIN]
    fwd_out = learner.module[MAIN].forward_train(part)
    learner.compute_loss_for_module(module_id=MAIN, config=learner.config, batch=part, fwd_out=fwd_out)
    return learner.take_td_errors()


def test_a_dueling_network_is_a_player() -> None:
    """Its Q-values are V + A - mean A over the legal columns; logits and value follow from them."""
    torch.manual_seed(0)
    network = QNetwork(Architecture(head="dueling", encoder="mlp", width=32))
    observation = make_game().expand(np.concatenate([position(""), position(FULL_COLUMN), position("1234567")]))
    planes, mask = (torch.from_numpy(array) for array in (observation.planes, observation.action_mask))
    features = network.encode(planes)
    value, advantage, legal = network.value_head(features), network.policy_head(features), mask != 0
    for row in range(3):
        expected = value[row] + advantage[row] - advantage[row][legal[row]].mean()
        q = network.q_values(features, mask)[row]
        torch.testing.assert_close(q[legal[row]], expected[legal[row]])
        assert (q[~legal[row]] == ILLEGAL_LOGIT).all()
    output = network(planes, mask)
    q = network.q_values(features, mask)
    torch.testing.assert_close(output.value, q.max(dim=1).values)
    torch.testing.assert_close(output.logits[legal], q[legal] / Q_TEMPERATURE)
    assert (output.logits[~legal] == ILLEGAL_LOGIT).all()


def test_illegal_actions_are_excluded_from_the_targets_maximum(build_apex: BuildApex) -> None:
    """However good they look to module and target network."""
    learner = learner_of(build_apex())
    module = learner.module[MAIN]
    favor(module, 2)
    favor(learner._target, 2)
    with torch.no_grad():  # columns 2 and 4 look best; then 3, the center
        for each in (module, learner._target):
            each.network.policy_head.even.bias[3] = 0.5
    free, full = position("4"), position("3333335555554")
    for later in (free, full):
        mask = make_game().expand(later).action_mask[0] != 0
        raw = np.array([0, 0, 1.0, 0.5, 1.0, 0, 0])
        best = (raw - raw[mask].mean())[mask].max()
        own = raw[0] - raw.mean()
        error = td_errors(learner, columns(position(""), later))
        np.testing.assert_allclose(error, [own - (-0.9 * best)], rtol=1e-2)


def test_the_module_chooses_and_the_target_network_values(build_apex: BuildApex) -> None:
    """Double Q-learning: the maximum of the target network alone would be larger."""
    learner = learner_of(build_apex())
    favor(learner.module[MAIN], 0)
    favor(learner._target, 1)
    observation = as_tensors(make_game().expand(position("4")))
    target = learner._target.q_values(observation)[0]
    assert learner.double_q(observation).item() == pytest.approx(target[0].item())
    assert target.max() > target[0]


def test_nothing_follows_the_end_of_a_game(build_apex: BuildApex) -> None:
    """A discount of zero leaves the return alone, even where no action is legal."""
    learner = learner_of(build_apex())
    favor(learner.module[MAIN], 0)
    full = np.array([[0, (1 << 49) - 1]], np.uint64)
    own = learner.module[MAIN].q_values(as_tensors(make_game().expand(position(""))))[0, 0].item()
    one, zero = np.ones(1, np.float32), np.zeros(1, np.float32)
    error = td_errors(learner, columns(position(""), full, **{"return": one, "discount": zero}))
    np.testing.assert_allclose(error, [own - 1], rtol=1e-4)


def test_the_target_network_follows_when_it_is_due(build_apex: BuildApex) -> None:
    """After every ``target_every`` gradient steps, and not before."""
    algorithm = build_apex("apex.target_every=8", "apex.updates_per_iteration=4")
    learner = learner_of(algorithm)

    def agree() -> bool:
        pairs = zip(learner.module[MAIN].parameters(), learner._target.parameters(), strict=True)
        return all(torch.equal(ours, theirs) for ours, theirs in pairs)

    assert agree()
    while algorithm.updates < 4:
        algorithm.train()
    assert not agree()
    while algorithm.updates < 8:
        algorithm.train()
    assert agree()


def test_td_errors_come_in_the_order_of_the_batch(build_apex: BuildApex) -> None:
    """Over several minibatches, so that each transition gets its own priority."""
    learner = learner_of(build_apex())
    returns = np.linspace(-1, 1, 10).astype(np.float32)
    zeros = np.zeros(10, np.float32)
    stored = columns(
        np.repeat(position(""), 10, axis=0),
        np.repeat(position("4"), 10, axis=0),
        **{"return": returns, "discount": zeros},
    )
    for batch in learner._minibatches(stored, [0, 3, 7, 10]):
        part = batch[MAIN]
        assert part[Columns.OBS]["observation"].shape[1:] == (6, 7, 2)
        fwd_out = learner.module[MAIN].forward_train(part)
        learner.compute_loss_for_module(module_id=MAIN, config=learner.config, batch=part, fwd_out=fwd_out)
    found = learner.take_td_errors()
    np.testing.assert_allclose(np.diff(found), -np.diff(returns), rtol=1e-3)
