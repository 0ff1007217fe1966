"""The lockstep runner in the league: weights, learners, and the same games as the stock runner."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from connectfour.games.result import SeatScores
from connectfour.league.members import MAIN
from connectfour.league.snapshots import weights_sha256
from connectfour.learning.ppo.algorithm import SelfPlayPPO
from connectfour.learning.ppo.samples import Samples
from connectfour.learning.sync import module_weights, runner_hashes
from tests.leagues import LOCKSTEP, Build, config, on_runners


@pytest.mark.parametrize("overlap", [True, False], ids=["overlapping", "in turn"])
@pytest.mark.slow
def test_remote_runners_sample_with_mains_weights(build: Build, overlap: bool) -> None:
    """Two remote runners deliver a whole batch; when they overlap, their weights are one update old and no older."""
    algorithm = build(*LOCKSTEP, "rollout.env_runners=2", f"rollout.overlap={str(overlap).lower()}")
    before: list[str] = []
    for iteration in range(1, 4):
        before.append(weights_sha256(module_weights(algorithm)))
        assert algorithm.train()["env_steps"] == 2048 * iteration
        hashes = {each[MAIN] for each in on_runners(algorithm, lambda runner: runner_hashes(runner, [MAIN]))}
        assert hashes == {before[-1] if overlap else weights_sha256(module_weights(algorithm))}


@pytest.fixture(scope="module")
def two_learners(ray_session: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SelfPlayPPO]:
    """A league with two remote learners."""
    settings = (*LOCKSTEP, "learners=2", "ppo.minibatch_size=200")
    algorithm = config(tmp_path_factory.mktemp("run") / "league", *settings).build_algo()
    yield algorithm
    algorithm.stop()


def _on_learners(algorithm: SelfPlayPPO, function: Callable[[Any], Any]) -> set[Any]:
    return {result.get() for result in algorithm.learner_group.foreach_learner(function)}


@pytest.mark.slow
def test_several_learners_stay_the_same(two_learners: SelfPlayPPO) -> None:
    """Two remote learners share each batch and hold the same new weights afterwards."""
    before = weights_sha256(module_weights(two_learners))
    two_learners.train()
    hashes = _on_learners(two_learners, lambda learner: weights_sha256(learner.module[MAIN].get_state()))
    assert len(hashes) == 1
    assert before not in hashes


@pytest.mark.slow
def test_learners_with_unequal_shares_take_as_many_minibatches(two_learners: SelfPlayPPO) -> None:
    """One sample more could mean one minibatch more, and learners that wait for each other would wait forever."""
    samples = Samples.join(two_learners.env_runner_group.foreach_env_runner(lambda runner: runner.sample()))
    odd = {name: array[: 2 * 3 * 100 - 1] for name, array in vars(samples).items()}
    (before,) = _on_learners(two_learners, lambda learner: learner._weights_seq_no)
    two_learners._learn(Samples(**odd))
    assert _on_learners(two_learners, lambda learner: learner._weights_seq_no) == {before + 1}


def _play(algorithm: SelfPlayPPO, samples: int) -> dict[str, SeatScores]:
    """Play and return the scores by opponent."""
    for _ in range(samples):
        algorithm.env_runner.sample()
    scores: dict[str, SeatScores] = algorithm.env_runner.matchmaker.drain()
    return scores


@pytest.mark.slow
def test_both_runners_play_the_same_games(build: Build, tmp_path: Path) -> None:
    """The same fresh network scores the same against every opponent from either seat, up to chance."""
    common = ("rollout.mirror_share=0.0", "rollout.pool_opening_plies=6", "league.matchmaking=uniform", "seed=3")
    stock = build("rollout.env_runner=stock", "rollout.envs_per_runner=16", "ppo.batch_size=4096", *common)
    lockstep = build(*LOCKSTEP, *common, folder=tmp_path / "lockstep")
    lockstep.learner_group.set_weights(stock.learner_group.get_weights())
    lockstep.league.sync(lockstep.env_runner_group)
    expected, found = _play(stock, 4), _play(lockstep, 40)
    assert expected.keys() == found.keys()
    for opponent in expected:
        for seat in ("first", "second"):
            one, other = (getattr(each[opponent], seat) for each in (expected, found))
            spread = np.sqrt(0.25 / one.games + 0.25 / other.games)
            assert abs(one.share - other.share) < 4 * spread, (opponent, seat)
