"""The lockstep runner against the stock one: the same advantages, the same games, the same league."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ray.rllib.evaluation.postprocessing import Postprocessing
from ray.rllib.utils.postprocessing.value_predictions import compute_value_targets

from connectfour.game.bitboard import Boards, Outcome, from_planes, has_four, pick_legal
from connectfour.game.openings import random_openings
from connectfour.league.matchmaking import MAIN
from connectfour.learning.algorithm import SelfPlayPPO
from connectfour.learning.rollout import Rollout, advantages, train_batch
from tests.leagues import Build

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


LOCKSTEP = ("rollout.env_runner=lockstep", "rollout.envs_per_runner=64", "ppo.batch_size=2048")


def test_columns_are_mains_moves_and_nothing_else(build: Build) -> None:
    """Legal moves from positions that occur, log-probabilities that belong to the logits, and a whole batch."""
    algorithm = build(*LOCKSTEP, "rollout.mirror_share=0.5")
    columns = algorithm.env_runner.sample()
    samples = len(columns["advantage"])
    assert 2048 * 0.6 < samples < 2048 * 0.9, "half of the games are mirrors, and half of the other moves are main's"
    assert columns["by_main"].all()
    batch = train_batch([columns])[MAIN]
    observation, mask = batch["obs"]["observation"], batch["obs"]["action_mask"]
    rows = np.arange(samples)
    assert mask[rows, batch["actions"]].all()
    logits = batch["action_dist_inputs"]
    log_probability = logits[rows, batch["actions"]] - np.log(np.exp(logits.astype(np.float64)).sum(axis=1))
    np.testing.assert_allclose(log_probability, batch["action_logp"], atol=1e-5)
    own, occupied = from_planes(observation)
    assert not has_four(own).any()
    assert not has_four(own ^ occupied).any()
    assert abs(batch[Postprocessing.ADVANTAGES].mean()) < 1e-3
    assert batch[Postprocessing.ADVANTAGES].std() == pytest.approx(1, abs=1e-3)


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
