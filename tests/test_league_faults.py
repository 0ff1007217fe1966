"""The faults that break leagues, on a real Ray, with both env runners, local and remote.

Faults A to D are those of RLlib's own recipe for self-play: opponents that are random nets, runners with random weights
after a restore, modules that vanish, and a restarted runner that plays other match-ups.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray
import torch

from callbacks.self_play import SelfPlayCallback
from connectfour.errors import TrainingError
from connectfour.games.registry import make_game
from connectfour.league.members import MAIN
from connectfour.league.snapshots import weights_sha256
from connectfour.learning.ppo.algorithm import SelfPlayPPO
from connectfour.learning.ppo.samples import Samples
from connectfour.learning.sync import module_weights, push_weights
from tests.leagues import Build, config, hashes_on_learner, hashes_on_runners, on_runners

pytestmark = pytest.mark.usefixtures("ray_session")


def _games(algorithm: SelfPlayPPO) -> int:
    return sum(score.games for score in algorithm.league.pool.payoff.values())


def process_id(env_runner: Any) -> int:
    """Return the process that an env runner lives in."""
    return os.getpid()


@pytest.fixture(
    scope="module",
    params=[
        (f"rollout.env_runner={kind}", f"rollout.env_runners={remote}", "rollout.mirror_share=0.0")
        for kind in ("stock", "lockstep")
        for remote in (0, 1)
    ],
    ids=["stock local", "stock remote", "lockstep local", "lockstep remote"],
)
def settings(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """Settings of every kind of env runner."""
    chosen: tuple[str, ...] = request.param
    return chosen


@pytest.fixture(scope="module")
def league(
    settings: tuple[str, ...], ray_session: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SelfPlayPPO]:
    """A league that has begun to learn. The tests of the faults share it, each from where the one before left it."""
    algorithm = config(tmp_path_factory.mktemp("run") / "league", *settings).build_algo()
    algorithm.train()
    yield algorithm
    algorithm.stop()


def test_fault_a_a_frozen_opponent_is_main_on_every_runner_at_once(league: SelfPlayPPO) -> None:
    """Right after a freeze, before any sync or sample, every env runner plays the frozen weights."""
    member = league.league.freeze_main()
    frozen = weights_sha256(module_weights(league))
    assert member.weights_sha256 == frozen
    for hashes in hashes_on_runners(league):
        assert hashes[member.module] == frozen
    league.train()
    assert weights_sha256(module_weights(league)) != frozen, "main learns on"
    assert hashes_on_learner(league)[member.module] == frozen, "the snapshot does not"
    for hashes in hashes_on_runners(league):
        assert hashes[member.module] == frozen


def test_a_runner_that_does_not_take_the_weights_is_noticed(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    """A push that does not arrive is an error, not a league of random nets."""
    algorithm = build()
    monkeypatch.setattr(algorithm.env_runner, "set_state", lambda state: None)
    algorithm.learner_group.set_weights({"opponent_0": dict(module_weights(algorithm))})
    with pytest.raises(TrainingError, match="did not load the weights of opponent_0"):
        push_weights(algorithm, algorithm.env_runner_group, ["opponent_0"])


def test_a_learner_that_does_not_take_the_weights_is_noticed(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runners that agree with a learner that holds something else prove nothing."""
    algorithm = build()
    monkeypatch.setattr(algorithm.learner_group, "set_weights", lambda weights: None)
    with pytest.raises(TrainingError, match="the learner did not load the weights of opponent_0"):
        algorithm.league.freeze_main()


@pytest.mark.slow
def test_fault_b_after_a_restore_runners_hold_the_saved_weights_before_they_sample(
    league: SelfPlayPPO, tmp_path: Path
) -> None:
    """Every module on every runner is the learner's, and the learner's is the saved one."""
    league.train()
    league.league.freeze_main()
    saved = hashes_on_learner(league)
    league.save_to_path(str(tmp_path / "checkpoint"))
    restored = SelfPlayPPO.from_checkpoint(str(tmp_path / "checkpoint"))
    try:
        assert hashes_on_learner(restored) == saved
        for hashes in hashes_on_runners(restored):
            assert hashes == saved
    finally:
        restored.stop()


def test_fault_b_going_back_to_an_older_checkpoint_takes_the_runners_along(league: SelfPlayPPO, tmp_path: Path) -> None:
    """RLlib's own sync drops these weights, because their sequence number is lower than the runners'."""
    saved = hashes_on_learner(league)
    league.save_to_path(str(tmp_path / "checkpoint"))
    league.train()
    league.train()
    assert hashes_on_learner(league) != saved
    league.restore_from_path(str(tmp_path / "checkpoint"))
    assert hashes_on_learner(league) == saved
    for hashes in hashes_on_runners(league):
        assert hashes == saved


@pytest.mark.slow
def test_fault_c_restoring_into_the_original_config_keeps_the_league(
    league: SelfPlayPPO, settings: tuple[str, ...], build: Build, tmp_path: Path
) -> None:
    """Members, pay-off, rosters on the runners, counts: all go on, and the snapshot is played."""
    member = league.league.freeze_main()
    league.train()
    state, iteration, steps = league.league.pool.to_state(), league.iteration, league.env_steps
    league.save_to_path(str(tmp_path / "checkpoint"))
    other = build(*settings, folder=tmp_path / "other")
    assert member.id not in other.league.pool.members
    other.restore_from_path(str(tmp_path / "checkpoint"))
    assert other.league.pool.to_state() == state.model_copy(update={"league": other.league.pool.id})
    assert (other.iteration, other.env_steps) == (iteration, steps)
    for roster in on_runners(other, lambda runner: runner.matchmaker.roster):
        assert roster.modules[member.id] == member.module
    result = other.train()
    assert result["training_iteration"] == iteration + 1
    assert result["env_steps"] > steps
    assert any(member.id in other.train()["opponent_scores"] for _ in range(20))


class Witness(SelfPlayCallback):
    """Keeps the roster that each sample of an env runner was played from."""

    def on_sample_end(self, *, samples: list[Any], **kwargs: Any) -> None:
        super().on_sample_end(samples=samples, **kwargs)
        env_runner = kwargs["env_runner"]
        env_runner.rosters = [*getattr(env_runner, "rosters", []), env_runner.matchmaker.roster]


@pytest.mark.slow
def test_fault_d_a_restarted_runner_gets_roster_and_weights(tmp_path: Path) -> None:
    """After a crash the new env runner plays the league's match-ups from its first game on, not the original ones."""
    algorithm = config(tmp_path, "rollout.env_runners=1").callbacks(Witness).build_algo()
    algorithm.train()
    algorithm.league.freeze_main()
    algorithm.league.exchange.publish(algorithm.league.roster)
    manager = algorithm.env_runner_group._worker_manager
    actor = manager.actors()[1]
    (before,) = on_runners(algorithm, process_id)
    ray.kill(actor, no_restart=False)
    for _ in range(20):
        algorithm.train()
        if on_runners(algorithm, process_id) not in ([], [before]):
            break
    else:
        pytest.fail("the env runner did not come back")
    (rosters,) = on_runners(algorithm, lambda runner: runner.rosters)
    assert "v0001" in rosters[0].modules
    (hashes,) = hashes_on_runners(algorithm)
    assert hashes["opponent_0"] == hashes_on_learner(algorithm)["opponent_0"]
    algorithm.stop()


@pytest.mark.slow
def test_a_runner_that_dies_while_it_samples_ahead_is_replaced(tmp_path: Path) -> None:
    """Its batch is lost and nothing else: the new one plays the league's match-ups with the league's weights."""
    algorithm = config(tmp_path, "rollout.env_runner=lockstep", "rollout.env_runners=1").build_algo()
    algorithm.train()
    algorithm.league.freeze_main()
    algorithm.league.exchange.publish(algorithm.league.roster)
    steps = algorithm.env_steps
    (before,) = on_runners(algorithm, process_id)
    ray.kill(algorithm.env_runner_group._worker_manager.actors()[1], no_restart=False)
    for _ in range(20):
        algorithm.train()
        if on_runners(algorithm, process_id) not in ([], [before]) and algorithm.env_steps > steps:
            break
    else:
        pytest.fail("the env runner did not come back")
    (roster,) = on_runners(algorithm, lambda runner: runner.matchmaker.roster)
    assert "v0001" in roster.modules
    (hashes,) = hashes_on_runners(algorithm)
    assert hashes["opponent_0"] == hashes_on_learner(algorithm)["opponent_0"]
    algorithm.stop()


@pytest.mark.slow
def test_what_was_sampled_ahead_of_a_restore_is_forgotten(build: Build, tmp_path: Path) -> None:
    """A batch begun with the weights from before a restore is not learned from after it."""
    algorithm = build("rollout.env_runner=lockstep", "rollout.env_runners=1", "rollout.mirror_share=0.0")
    algorithm.train()
    algorithm.save_to_path(str(tmp_path / "checkpoint"))
    assert algorithm.env_runner_group.num_in_flight_async_reqs("sampling") == 1
    algorithm.restore_from_path(str(tmp_path / "checkpoint"))
    assert algorithm.env_runner_group.num_in_flight_async_reqs("sampling") == 0
    steps, games = algorithm.env_steps, _games(algorithm)
    assert sum(map(len, on_runners(algorithm, lambda runner: runner.matchmaker.drain()))) == 0, "nor counted"
    algorithm.train()
    assert algorithm.env_steps == steps + 200
    assert _games(algorithm) > games


@pytest.mark.slow
def test_what_is_sampled_ahead_is_sampled_with_the_newest_weights(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The batch that an iteration starts is played by main as the update before left it."""
    algorithm = build("rollout.env_runner=lockstep", "rollout.env_runners=1", "lookahead.share=0", "precision=float32")
    sampled: list[Samples] = []
    learn = algorithm._learn

    def noting(samples: Samples) -> None:
        sampled.append(samples)
        learn(samples)

    monkeypatch.setattr(algorithm, "_learn", noting)
    algorithm.train()
    network = copy.deepcopy(algorithm.get_module(MAIN).network)
    network.load_state_dict({name: torch.from_numpy(array) for name, array in module_weights(algorithm).items()})
    algorithm.train()
    algorithm.train()
    samples = sampled[2]
    observation = make_game().expand(samples.packed)
    with torch.no_grad():
        logits = network(torch.from_numpy(observation.planes), torch.from_numpy(observation.action_mask)).logits
    expected = torch.log_softmax(logits, dim=1).numpy()[np.arange(len(samples)), samples.action]
    assert np.allclose(samples.log_probability, expected, atol=1e-3)
