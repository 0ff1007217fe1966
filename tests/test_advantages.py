"""Advantages of lockstep rollouts against RLlib's estimator."""

from __future__ import annotations

import numpy as np
from ray.rllib.utils.postprocessing.value_predictions import compute_value_targets

from connectfour.games.connect_four.bitboard import Boards, Outcome, mover_reward
from connectfour.games.moves import pick_legal
from connectfour.games.registry import make_game
from connectfour.learning.ppo.advantages import advantages
from connectfour.learning.ppo.rollout import PolicyRollout

GAMMA, LAMBDA = 0.97, 0.8


def _random_rollout(plies: int, boards: int, rng: np.random.Generator) -> tuple[PolicyRollout, Boards]:
    """Play at random from the empty board, with random values; a new game follows each that ends."""
    rollout = PolicyRollout.empty(make_game(), plies, boards)
    games = Boards(boards)
    for ply in range(plies):
        rollout.packed[ply], rollout.seat[ply] = games.pack(), games.seat
        rollout.value[ply] = rng.uniform(-1, 1, boards)
        rollout.action[ply] = pick_legal(games.legal(), rng.random(boards))
        full = np.flatnonzero(rng.random(boards) < 0.01)
        rollout.action[ply, full] = 7  # an illegal move now and then
        outcome = games.play(rollout.action[ply].astype(np.int64))
        rollout.ended[ply], rollout.reward[ply] = games.over, mover_reward(outcome)
        rollout.other_reward[ply] = -(outcome == Outcome.WIN).astype(np.int8)
        games.reset(games.over)
    return rollout, games


def test_advantages_are_rllibs_along_each_players_own_moves() -> None:
    """Every complete game, split into the trajectories of its two players, through RLlib's own estimator."""
    rng = np.random.default_rng(0)
    rollout, games = _random_rollout(80, 40, rng)
    last_value = rng.uniform(-1, 1, 40).astype(np.float32)
    found = advantages(rollout, last_value, games.seat.astype(np.int8), GAMMA, LAMBDA)
    checked = 0
    for board in range(40):
        ends = np.flatnonzero(rollout.ended[:, board])
        for start, end in zip([0, *(ends[:-1] + 1)], ends, strict=True):
            mover = rollout.seat[end, board]
            for seat in (0, 1):
                moves = np.flatnonzero(rollout.seat[start : end + 1, board] == seat) + start
                if not len(moves):
                    continue
                rewards = np.zeros(len(moves), np.float32)
                rewards[-1] = (rollout.reward if seat == mover else rollout.other_reward)[end, board]
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
    """The player to move at the cut gets the value of the position, the other its negative."""
    rollout = PolicyRollout.empty(make_game(), 2, 1)
    rollout.seat[:, 0] = (0, 1)
    rollout.value[:, 0] = (0.1, 0.2)
    found = advantages(rollout, np.array([0.5], np.float32), np.array([0], np.int8), GAMMA, LAMBDA)
    np.testing.assert_allclose(found[:, 0], [GAMMA * 0.5 - 0.1, GAMMA * -0.5 - 0.2], atol=1e-6)


def test_a_slip_cuts_the_trace() -> None:
    """Moves before a slip have the advantages of a rollout that ends there; those after it are unaffected."""
    rng = np.random.default_rng(1)
    rollout, games = _random_rollout(30, 50, rng)
    last_value, last_seat = rng.uniform(-1, 1, 50).astype(np.float32), games.seat.astype(np.int8)
    without = advantages(rollout, last_value, last_seat, GAMMA, LAMBDA)
    slip = 17
    rollout.slip[slip] = True
    found = advantages(rollout, last_value, last_seat, GAMMA, LAMBDA)
    before = PolicyRollout(**{name: array[:slip] for name, array in vars(rollout).items()})
    expected = advantages(before, rollout.value[slip], rollout.seat[slip], GAMMA, LAMBDA)
    np.testing.assert_allclose(expected, found[:slip], atol=1e-6)
    np.testing.assert_array_equal(without[slip:], found[slip:])
    assert not np.allclose(without[:slip], found[:slip])
