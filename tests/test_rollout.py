"""The lockstep runner against the stock one: the same advantages, the same games, the same league."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ray.rllib.algorithms.ppo.torch.ppo_torch_learner import PPOTorchLearner
from ray.rllib.core.columns import Columns
from ray.rllib.core.learner.training_data import TrainingData
from ray.rllib.policy.sample_batch import MultiAgentBatch
from ray.rllib.utils.postprocessing.value_predictions import compute_value_targets

from connectfour.games.connect_four.bitboard import (
    Boards,
    Outcome,
    from_planes,
    has_four,
    landing_cells,
    legal_columns,
    pick_legal,
)
from connectfour.games.connect_four.openings import random_openings
from connectfour.league.members import MAIN
from connectfour.league.snapshots import weights_sha256
from connectfour.learning.ppo import learner as learner_module
from connectfour.learning.ppo.algorithm import SelfPlayPPO
from connectfour.learning.rollout import Rollout, advantages, train_batch
from connectfour.learning.sync import module_weights, runner_hashes
from tests.leagues import Build, on_runners

GAMMA, LAMBDA = 0.97, 0.8


def _random_rollout(plies: int, boards: int, rng: np.random.Generator) -> tuple[Rollout, Boards]:
    """Play at random from the empty board, with values out of thin air; a game that ends is followed by another."""
    rollout = Rollout.empty(plies, boards)
    games = Boards(boards)
    for ply in range(plies):
        rollout.own[ply], rollout.occupied[ply] = games.own, games.occupied
        rollout.seat[ply] = games.plies % 2
        rollout.value[ply] = rng.uniform(-1, 1, boards)
        rollout.column[ply] = pick_legal(games.legal(), rng.random(boards))
        full = np.flatnonzero(rng.random(boards) < 0.01)
        rollout.column[ply, full] = 7  # an illegal move now and then
        rollout.outcome[ply] = games.play(rollout.column[ply].astype(np.int64))
        games.reset(games.over)
    return rollout, games


def test_advantages_are_rllibs_along_each_players_own_moves() -> None:
    """Every complete game of a rollout, taken apart into two trajectories and given to RLlib's own estimator."""
    rng = np.random.default_rng(0)
    rollout, games = _random_rollout(80, 40, rng)
    last_value = rng.uniform(-1, 1, 40).astype(np.float32)
    found = advantages(rollout, last_value, (games.plies % 2).astype(np.int8), GAMMA, LAMBDA)
    checked = 0
    for board in range(40):
        ends = np.flatnonzero(rollout.outcome[:, board])
        for start, end in zip([0, *(ends[:-1] + 1)], ends, strict=True):
            outcome, mover = rollout.outcome[end, board], rollout.seat[end, board]
            for seat in (0, 1):
                moves = np.flatnonzero(rollout.seat[start : end + 1, board] == seat) + start
                if not len(moves):
                    continue
                of_mover, of_other = {Outcome.WIN: (1, -1), Outcome.DRAW: (0, 0), Outcome.ILLEGAL: (-1, 0)}[outcome]
                rewards = np.zeros(len(moves), np.float32)
                rewards[-1] = of_mover if seat == mover else of_other
                # RLlib wants one artificial step after the end of an episode, with a value of zero.
                values = np.append(rollout.value[moves, board], np.float32(0))
                last = np.zeros(len(moves) + 1, np.float32)
                last[-2:] = 1
                targets = compute_value_targets(
                    values=values,
                    rewards=np.append(rewards, np.float32(0)),
                    terminateds=last,
                    truncateds=np.append(np.zeros(len(moves), np.float32), np.float32(1)),
                    gamma=GAMMA,
                    lambda_=LAMBDA,
                )
                expected = (targets - values)[:-1]
                np.testing.assert_allclose(expected, found[moves, board], atol=1e-5)
                checked += 1
    assert checked > 100


def test_a_cut_game_goes_on_with_the_value_of_its_position() -> None:
    """One ply before the cut for the player to move, and its negative for the other."""
    rollout = Rollout.empty(2, 1)
    rollout.seat[:, 0] = (0, 1)
    rollout.value[:, 0] = (0.1, 0.2)
    found = advantages(rollout, np.array([0.5], np.float32), np.array([0], np.int8), GAMMA, LAMBDA)
    np.testing.assert_allclose(found[:, 0], [GAMMA * 0.5 - 0.1, GAMMA * -0.5 - 0.2], atol=1e-6)


def test_at_a_slip_the_value_of_the_position_stands_for_what_followed() -> None:
    """Moves before a slip have the advantages of a rollout that ends there; those after it are as without it."""
    rng = np.random.default_rng(1)
    rollout, games = _random_rollout(30, 50, rng)
    last_value, last_seat = rng.uniform(-1, 1, 50).astype(np.float32), (games.plies % 2).astype(np.int8)
    without = advantages(rollout, last_value, last_seat, GAMMA, LAMBDA)
    slip = 17
    rollout.slip[slip] = True
    found = advantages(rollout, last_value, last_seat, GAMMA, LAMBDA)
    before = Rollout(**{name: array[:slip] for name, array in vars(rollout).items()})
    expected = advantages(before, rollout.value[slip], rollout.seat[slip], GAMMA, LAMBDA)
    np.testing.assert_allclose(expected, found[:slip], atol=1e-6)
    np.testing.assert_array_equal(without[slip:], found[slip:])
    assert not np.allclose(without[:slip], found[:slip])


LOCKSTEP = ("rollout.env_runner=lockstep", "rollout.envs_per_runner=64", "ppo.batch_size=2048")


def test_columns_are_mains_moves_and_nothing_else(build: Build) -> None:
    """Legal moves from positions that occur, log-probabilities that belong to the logits, slips left out."""
    algorithm = build(*LOCKSTEP, "rollout.mirror_share=0.5", "rollout.slip_probability=0.2")
    columns = algorithm.env_runner.sample()
    samples = len(columns["advantage"])
    # Half of the games are mirrors, a fifth of their moves are slips, and half of the other moves are main's.
    assert 2048 * 0.55 < samples < 2048 * 0.75
    rows = np.arange(samples)
    assert legal_columns(columns["occupied"])[rows, columns["column"]].all()
    logits = columns["logits"].astype(np.float64)
    log_probability = logits[rows, columns["column"]] - np.log(np.exp(logits).sum(axis=1))
    np.testing.assert_allclose(log_probability, columns["log_probability"], atol=1e-5)
    assert not has_four(columns["own"]).any()
    assert not has_four(columns["own"] ^ columns["occupied"]).any()
    advantage = train_batch([columns, columns])[MAIN]["advantage"]
    assert len(advantage) == 2 * samples
    assert abs(advantage.mean()) < 1e-3
    assert advantage.std() == pytest.approx(1, abs=1e-3)


def test_some_positions_have_an_improved_policy(build: Build) -> None:
    """The share that is asked for: a distribution over legal columns there, and zeros elsewhere."""
    algorithm = build(*LOCKSTEP, "lookahead.share=0.5")
    columns = algorithm.env_runner.sample()
    target = columns["improved_policy"]
    total = target.sum(axis=1)
    has_target = total > 0
    assert 0.4 < has_target.mean() < 0.6
    np.testing.assert_allclose(total[has_target], 1, atol=1e-5)
    assert not target[~legal_columns(columns["occupied"])].any()


def test_a_winning_column_is_most_of_the_improved_policy(build: Build) -> None:
    """Wherever main could win at once, a fresh network's policy moves there, and the position is worth that win."""
    looking = ("lookahead.share=1.0", "lookahead.temperature=0.1", "lookahead.value_share=1.0")
    algorithm = build(*LOCKSTEP, *looking, "rollout.mirror_opening_plies=20")
    columns = algorithm.env_runner.sample()
    own, occupied, target = columns["own"], columns["occupied"], columns["improved_policy"]
    wins = has_four(own[:, None] | landing_cells(occupied))
    here = wins.any(axis=1)
    assert here.sum() > 20
    assert (target[here] * wins[here]).sum(axis=1).min() > 0.9
    assert (columns["value_target"][here] == 1).all()
    assert (np.abs(columns["value_target"][~here]) < 1).all()


def test_a_learner_takes_each_sample_once_an_epoch(build: Build) -> None:
    """In minibatches of nearly equal size, as planes and masks of the bitboards that were sampled."""
    algorithm = build(*LOCKSTEP)
    batch = train_batch([algorithm.env_runner.sample()])[MAIN]
    learner = algorithm.learner_group._learner
    minibatches = list(
        learner._create_iterator_if_necessary(
            training_data=TrainingData(batch=MultiAgentBatch({MAIN: batch}, len(batch))),
            num_epochs=2,
            num_total_minibatches=10,
        )
    )
    sizes = [len(each[MAIN]) for each in minibatches]
    assert max(sizes) - min(sizes) <= 1
    for epoch in (minibatches[:5], minibatches[5:]):
        own, occupied = (
            np.concatenate(words)
            for words in zip(*(from_planes(each[MAIN]["obs"]["observation"].numpy()) for each in epoch), strict=True)
        )
        order, expected = np.lexsort((occupied, own)), np.lexsort((batch["occupied"], batch["own"]))
        np.testing.assert_array_equal(batch["own"][expected], own[order])
        np.testing.assert_array_equal(batch["occupied"][expected], occupied[order])
    assert (minibatches[0][MAIN]["actions"] != minibatches[5][MAIN]["actions"]).any(), "another order each epoch"


def test_the_loss_is_rllibs(build: Build) -> None:
    """On a batch that was learned from for a while, so that some ratios are clipped; the lookahead's comes on top."""
    algorithm = build(*LOCKSTEP, "lookahead.share=0.5", "ppo.learning_rate=0.02")
    batch = train_batch([algorithm.env_runner.sample()])
    algorithm._lockstep._learn(batch)
    learner = algorithm.learner_group._learner
    columns: dict[str, Any] = {**learner_module._expand(batch[MAIN], learner.device)}
    columns[Columns.OBS] = {name: columns.pop(name) for name in ("observation", "action_mask")}
    columns[Columns.ACTION_DIST_INPUTS] = torch.from_numpy(batch[MAIN]["logits"])
    given = {"module_id": MAIN, "config": learner.config, "fwd_out": learner.module[MAIN].forward_train(columns)}
    target = columns.pop(learner_module.IMPROVED_POLICY)
    expected = PPOTorchLearner.compute_loss_for_module(learner, batch=columns, **given)
    found = learner.compute_loss_for_module(batch=columns, **given)
    torch.testing.assert_close(expected, found, rtol=1e-4, atol=1e-6)
    with_target = learner.compute_loss_for_module(batch={**columns, learner_module.IMPROVED_POLICY: target}, **given)
    rows = target.sum(dim=1) > 0
    logits = given["fwd_out"][Columns.ACTION_DIST_INPUTS][rows]
    cross_entropy = torch.nn.functional.cross_entropy(logits, target[rows])
    torch.testing.assert_close(found + 0.5 * cross_entropy, with_target, rtol=1e-4, atol=1e-5)


def test_schedules_follow_the_progress_of_the_run(build: Build) -> None:
    """From the first value to the last while the run goes from nothing to its limit, on the learner itself."""
    algorithm = build(
        *LOCKSTEP, "ppo.learning_rate=1e-3", "ppo.learning_rate_end=1e-5", "stop.env_steps=8192", "stop.minutes=null"
    )
    rates = []
    for _ in range(5):
        learned = algorithm.train()["learners"][MAIN]
        rates.append(float(learned["default_optimizer_learning_rate"]))
    np.testing.assert_allclose(rates, np.linspace(1e-3, 1e-5, 5), rtol=1e-3)
    assert float(learned["curr_entropy_coeff"]) == pytest.approx(0.02)


def test_schedules_go_on_after_a_restore(build: Build, tmp_path: Path) -> None:
    """The first update after it has the rate and the entropy weight of the run's progress, not those of its start."""
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


@pytest.mark.parametrize("overlap", [True, False], ids=["overlapping", "in turn"])
def test_remote_runners_sample_with_mains_weights(build: Build, overlap: bool) -> None:
    """Two remote runners deliver a whole batch; when they overlap, their weights are one update old and no older."""
    algorithm = build(*LOCKSTEP, "rollout.env_runners=2", f"rollout.overlap={str(overlap).lower()}")
    before: list[str] = []
    for iteration in range(1, 4):
        before.append(weights_sha256(module_weights(algorithm)))
        assert algorithm.train()["env_steps"] == 2048 * iteration
        hashes = {each[MAIN] for each in on_runners(algorithm, lambda runner: runner_hashes(runner, [MAIN]))}
        assert hashes == {before[-1] if overlap else weights_sha256(module_weights(algorithm))}


def test_several_learners_stay_the_same(build: Build) -> None:
    """Two remote learners share each batch and hold the same weights afterwards, which are not those from before."""
    algorithm = build(*LOCKSTEP, "learners=2", "ppo.minibatch_size=300")
    before = weights_sha256(module_weights(algorithm))
    algorithm.train()
    hashes = {
        result.get()
        for result in algorithm.learner_group.foreach_learner(
            lambda learner: weights_sha256(learner.module[MAIN].get_state())
        )
    }
    assert len(hashes) == 1
    assert before not in hashes


def test_learners_with_unequal_shares_take_as_many_minibatches(build: Build) -> None:
    """One sample more or less is one minibatch more or less, and learners that wait for each other would wait on."""
    algorithm = build(*LOCKSTEP, "learners=2", "ppo.minibatch_size=200")
    columns = train_batch(algorithm.env_runner_group.foreach_env_runner(lambda runner: runner.sample()))[MAIN]
    algorithm._lockstep._learn(MultiAgentBatch({MAIN: columns[: 2 * 3 * 100 - 1]}, 599))
    (trained,) = {
        result.get() for result in algorithm.learner_group.foreach_learner(lambda learner: learner._weights_seq_no)
    }
    assert trained == 1


def _statistics(algorithm: SelfPlayPPO, samples: int) -> dict[str, Any]:
    """Play and return scores by opponent and seat, with the number of games."""
    games: dict[tuple[str, int], list[float]] = {}
    for _ in range(samples):
        algorithm.env_runner.sample()
        for tally in algorithm.env_runner.matchmaker.drain():
            points = {"win": 1.0, "draw": 0.5, "loss": 0.0}[tally.result]
            games.setdefault((tally.opponent, tally.main_seat), []).extend([points] * tally.games)
    return {f"{opponent} {seat}": (float(np.mean(points)), len(points)) for (opponent, seat), points in games.items()}


def test_both_runners_play_the_same_games(build: Build, tmp_path: Path) -> None:
    """The same fresh network scores the same against every opponent from either seat, up to chance."""
    common = ("rollout.mirror_share=0.0", "rollout.pool_opening_plies=6", "league.matchmaking=uniform", "seed=3")
    stock = build("rollout.env_runner=stock", "rollout.envs_per_runner=16", "ppo.batch_size=4096", *common)
    lockstep = build(*LOCKSTEP, *common, folder=tmp_path / "lockstep")
    lockstep.learner_group.set_weights(stock.learner_group.get_weights())
    lockstep.sync_league(lockstep.env_runner_group)
    expected, found = _statistics(stock, 4), _statistics(lockstep, 40)
    assert expected.keys() == found.keys()
    for pair, (score, games) in expected.items():
        other_score, other_games = found[pair]
        spread = np.sqrt(0.25 / games + 0.25 / other_games)
        assert abs(score - other_score) < 4 * spread, pair


def test_openings_have_the_length_that_is_asked_for() -> None:
    """Every board its own, and none is over."""
    plies = np.arange(4000) % 36
    boards = random_openings(plies, np.random.default_rng(0))
    np.testing.assert_array_equal(plies, boards.plies)
    assert not has_four(boards.own).any()
    assert not has_four(boards.opponent).any()
    assert not boards.over.any()
