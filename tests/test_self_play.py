"""The league on RLlib's episodes: samples, results, openings, random numbers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray

from connectfour.games.connect_four.bitboard import COLUMNS, from_planes, has_four, landing_cells
from connectfour.games.env import AGENTS
from connectfour.games.result import Result, Score, SeatScores
from connectfour.league.members import MAIN
from connectfour.learning.ppo.algorithm import SelfPlayPPO
from tests.leagues import Build, on_runners

pytestmark = pytest.mark.usefixtures("ray_session")


def test_freezes_when_the_threshold_is_passed_and_reports(build: Build) -> None:
    """The figures stand at the top level of the result."""
    algorithm = build("league.win_rate_threshold=0.001", "league.min_games=1", "rollout.mirror_share=0.0")
    result = algorithm.train()
    assert result["frozen"] == "v0001"
    assert result["league_size"] == 4
    assert 1.0 < result["league_score"] < 2.0
    assert 0 < result["newest_score"] <= 1
    assert 0 < result["win_rate"] <= 1
    assert 0 <= result["draw_rate"] < 1
    assert set(result["opponent_scores"]) <= {"random", "always_same", "linear"}
    assert result["env_steps"] >= 200
    assert result["env_steps_per_second"] > 0
    assert algorithm.train()["opponent_scores"].keys() <= {"random", "always_same", "linear", "v0001"}


def _finished_games(algorithm: SelfPlayPPO, samples: int) -> Iterator[list[Any]]:
    """Sample on the local env runner and yield the parts of each finished game."""
    parts: dict[str, list[Any]] = {}
    for _ in range(samples):
        for part in algorithm.env_runner.sample():
            parts.setdefault(part.id_, []).append(part)
            if part.is_done:
                yield parts.pop(part.id_)


def test_main_gets_every_move_and_the_games_result(build: Build) -> None:
    """Whatever a game is cut into: one action for each of main's discs, and the result as the only reward."""
    algorithm = build("rollout.mirror_share=0.4", "rollout.pool_opening_plies=20", "ppo.batch_size=100")
    checked = 0
    for game in _finished_games(algorithm, 8):
        match_up = game[-1].custom_data["match_up"]
        for seat, agent in enumerate(AGENTS):
            parts = [part.agent_episodes[agent] for part in game if agent in part.agent_episodes]
            if match_up.module_in(seat) != MAIN:
                assert not parts, "nothing is learned from the opponent's moves"
            elif parts:
                first = parts[0].get_observations(0)["observation"]
                last = parts[-1].get_observations(-1)["observation"]
                (start, _), (own, occupied) = from_planes(first[None]), from_planes(last[None])
                won, lost = has_four(own)[0], has_four(own ^ occupied)[0]
                rewards = [reward for part in parts for reward in part.get_rewards()]
                assert len(rewards) == int(np.bitwise_count(own)[0]) - int(np.bitwise_count(start)[0])
                assert rewards[:-1] == [0.0] * (len(rewards) - 1)
                assert rewards[-1] == int(won) - int(lost)
                checked += 1
    assert checked > 30


def test_results_are_counted_as_played(build: Build) -> None:
    """Wins, draws and losses by seat, recounted from the last boards."""
    algorithm = build("rollout.mirror_share=0.0", "rollout.pool_opening_plies=12")
    counted: dict[str, SeatScores] = {}
    for game in _finished_games(algorithm, 4):
        match_up = game[-1].custom_data["match_up"]
        parts = [part.agent_episodes.get(AGENTS[match_up.main_seat]) for part in game]
        if parts[-1] is None:
            result = Result.LOSS  # the opponent won from the opening before main moved
        else:
            own, occupied = from_planes(parts[-1].get_observations(-1)["observation"][None])
            result = Result(int(has_four(own)[0]) - int(has_four(own ^ occupied)[0]))
        before = counted.get(match_up.opponent, SeatScores())
        counted[match_up.opponent] = before + SeatScores.of(match_up.main_seat, Score.of(result))
    assert algorithm.env_runner.matchmaker.drain() == counted
    assert sum(scores.total.games for scores in counted.values()) > 30


def test_a_heuristics_memory_belongs_to_its_board(build: Build) -> None:
    """Four boards at once, and always_same keeps to one column on each of them."""
    algorithm = build(
        "league.opponents=[heuristic:always_same]", "rollout.mirror_share=0.0", "rollout.pool_opening_plies=0"
    )
    columns = set()
    checked = 0
    for game in _finished_games(algorithm, 4):
        match_up = game[-1].custom_data["match_up"]
        last = game[-1].agent_episodes.get(AGENTS[match_up.main_seat])
        if last is None:
            continue
        own, occupied = from_planes(last.get_observations(-1)["observation"][None])
        per_column = np.bitwise_count(
            (own ^ occupied)[0] & (np.uint64(0x3F) << (7 * np.arange(COLUMNS)).astype(np.uint64))
        )
        used = np.flatnonzero(per_column)
        full = landing_cells(occupied)[0] == 0
        assert len(used) <= 1 + full[used].sum(), "a second column only once the first is full"
        columns |= set(used.tolist())
        checked += 1
    assert checked > 20
    assert len(columns) > 2


def test_mirrors_and_pool_games_have_their_own_openings(build: Build) -> None:
    """Long random openings for mirrors, none here for games against the pool."""
    algorithm = build("rollout.mirror_share=0.5", "rollout.mirror_opening_plies=20", "rollout.pool_opening_plies=0")
    discs: dict[bool, list[int]] = {True: [], False: []}
    for game in _finished_games(algorithm, 4):
        for part in game[0].agent_episodes.values():
            seen = int(part.get_observations(0)["observation"].sum())
            discs[game[0].custom_data["match_up"].is_mirror].append(seen)
    assert max(discs[False]) <= 1
    assert max(discs[True]) > 10


@pytest.mark.slow
def test_two_runners_play_different_games(build: Build) -> None:
    """The same seed everywhere must mean neither the same match-ups nor the same moves everywhere."""
    algorithm = build("rollout.env_runners=2", "rollout.mirror_share=0.0")

    def games(env_runner: Any) -> tuple[list[str], bytes]:
        match_ups = [str(env_runner.matchmaker.draw()) for _ in range(30)]
        parts = [part for episode in env_runner.sample() for part in episode.agent_episodes.values()]
        return match_ups, b"".join(part.get_observations()["observation"].tobytes() for part in parts)

    (first_drawn, first_played), (second_drawn, second_played) = on_runners(algorithm, games)
    assert first_drawn != second_drawn
    assert first_played != second_played


def test_ray_listens_on_loopback_only() -> None:
    """Nobody else on the network reaches a run."""
    assert [node["NodeManagerAddress"] for node in ray.nodes()] == ["127.0.0.1"]


def test_stock_ppo_can_use_environment_and_module(tmp_path: Path) -> None:
    """Nothing of the environment or the masking module needs the league: RLlib's own PPO trains with them."""
    from ray.rllib.algorithms.ppo import PPOConfig
    from ray.rllib.core.rl_module.rl_module import RLModuleSpec

    from connectfour.games.connect_four.env import ENV_NAME
    from connectfour.learning.rl_module import ActionMaskingRLModule
    from connectfour.settings.network import Architecture

    stock = (
        PPOConfig()
        .environment(ENV_NAME)
        .env_runners(num_env_runners=0, num_envs_per_env_runner=4)
        .training(train_batch_size_per_learner=200, minibatch_size=64, num_epochs=1)
        .multi_agent(policies={"both"}, policy_mapping_fn=lambda agent, episode, **kwargs: "both")
        .rl_module(
            rl_module_spec=RLModuleSpec(
                module_class=ActionMaskingRLModule, model_config={"network": Architecture(width=16).model_dump()}
            )
        )
    )
    algorithm = stock.build_algo()
    try:
        assert algorithm.train()["learners"]["both"]["num_module_steps_trained"] >= 200
    finally:
        algorithm.stop()
