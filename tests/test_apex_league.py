"""Ape-X in the league, on a real Ray: freezing, resuming, guests, and what dies."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray

from connectfour.apex.replay.replay import Batch
from connectfour.errors import ConfigError, RunFolderError, SnapshotError
from connectfour.export.onnx_file import export_onnx
from connectfour.games.registry import make_game
from connectfour.games.result import SeatScores
from connectfour.league.matchmaking import Roster
from connectfour.league.members import MAIN
from connectfour.league.snapshots import decode_snapshot, weights_sha256
from connectfour.learning.apex.algorithm import SelfPlayApex, SelfPlayApexConfig
from connectfour.learning.ppo.algorithm import SelfPlayPPOConfig
from connectfour.learning.sync import module_weights
from connectfour.players.names import encode_player, parse_player
from connectfour.settings.reading import load_settings
from connectfour.system.observer import Observer
from connectfour.training.train import TrainingResult, resume, train
from tests.leagues import (
    LOCKSTEP,
    Build,
    BuildApex,
    apex_config,
    hashes_on_learner,
    hashes_on_runners,
    on_runners,
    tiny_settings,
    wait_for_death,
)

pytestmark = pytest.mark.usefixtures("ray_session")


def learn(algorithm: SelfPlayApex, updates: int) -> dict[str, Any]:
    """Train until ``updates`` more gradient steps are done."""
    goal = algorithm.updates + updates
    result: dict[str, Any] = {}
    while algorithm.updates < goal:
        result = algorithm.train()
    return result


def process_id(env_runner: Any) -> int:
    """Return the process that an actor lives in."""
    return os.getpid()


OWN = "heuristic:random, heuristic:always_same, heuristic:linear"


@pytest.fixture(scope="module")
def ppo_run(ray_session: None, tmp_path_factory: pytest.TempPathFactory) -> TrainingResult:
    """A short PPO run with one snapshot."""
    limits = ("stop.minutes=null", "stop.env_steps=4096", "league.freeze_every=2048", "network.encoder=mlp")
    return train(tiny_settings(*LOCKSTEP, *limits), tmp_path_factory.mktemp("ppo") / "ppo", observer=Observer())


@pytest.fixture(scope="module")
def apex_run(ppo_run: TrainingResult, tmp_path_factory: pytest.TempPathFactory) -> TrainingResult:
    """A short Ape-X run whose pool has a guest that PPO trained."""
    # A path that is relative to this process, not to the one that trains.
    guest = f"snapshot:{os.path.relpath(ppo_run.run.path)}/v1"
    limits = (
        f"league.opponents=[{OWN}, {guest}]",
        "stop.minutes=null",
        "stop.env_steps=20000",
        "league.freeze_every=8000",
    )
    settings = apex_config(Path("unused"), *limits, "rollout.mirror_share=0.2").settings
    return train(settings, tmp_path_factory.mktemp("apex") / "apex", observer=Observer())


def test_it_learns_freezes_and_reports(build_apex: BuildApex) -> None:
    """Orders go out, transitions come in, gradient steps are taken, and the frozen weights are main's everywhere."""
    algorithm = build_apex("league.win_rate_threshold=0.001", "league.min_games=1", "rollout.mirror_share=0.0")
    before = weights_sha256(module_weights(algorithm))
    result = learn(algorithm, 40)
    assert weights_sha256(module_weights(algorithm)) != before
    assert result["league_size"] > 3
    assert result["learners"][MAIN]["td_error"] > 0
    assert result["replay_buffer"]["size"] > 1024
    assert set(result["waiting"]) == {"learner", "actor_1", "shard_1"}
    assert all(0 <= share <= 1 for share in result["waiting"].values())
    member = algorithm.league.freeze_main()
    frozen = weights_sha256(module_weights(algorithm))
    assert hashes_on_learner(algorithm)[member.module] == frozen
    assert [hashes[member.module] for hashes in hashes_on_runners(algorithm)] == [frozen]


def test_transitions_are_those_of_the_games(build_apex: BuildApex) -> None:
    """Each next position is the position after the move, unless the game ended; no move of any player is illegal."""
    algorithm = build_apex("rollout.mirror_share=0.5")

    def sample(env_runner: Any) -> Any:
        return [env_runner.sample().columns for _ in range(4)]

    ((_, *rest),) = on_runners(algorithm, sample)
    for columns in rest:
        now, later = columns["packed"], columns["next.packed"]
        legal = make_game().expand(now).action_mask[np.arange(len(now)), columns["action"]]
        assert legal.all()
        goes_on = columns["discount"] != 0
        np.testing.assert_allclose(columns["discount"][goes_on], -0.999)
        assert set(columns["return"][goes_on].tolist()) == {0.0}
        assert set(columns["return"].tolist()) <= {0.0, 1.0}
        own, occupied = now[goes_on].T
        next_own, next_occupied = later[goes_on].T
        np.testing.assert_array_equal(next_own, own ^ occupied)
        assert {int(bits).bit_count() for bits in next_occupied ^ occupied} == {1}


@pytest.mark.slow
def test_every_board_has_its_own_exploration(build_apex: BuildApex) -> None:
    """Spread over the boards of all runners."""
    algorithm = build_apex("rollout.env_runners=2", "rollout.envs_per_runner=8")
    found = np.sort(np.concatenate(on_runners(algorithm, lambda runner: runner.epsilon)))[::-1]
    np.testing.assert_allclose(found, 0.4 ** (1 + 7 * np.arange(16) / 15))


@pytest.mark.slow
def test_results_of_boards_that_explore_do_not_count(build_apex: BuildApex) -> None:
    """They would measure the exploration."""
    algorithm = build_apex("apex.epsilon=1", "apex.epsilon_alpha=0", "rollout.mirror_share=0")

    def count(env_runner: Any) -> tuple[int, int]:
        env_runner.measured[:] = False
        env_runner.sample()
        unmeasured = sum(scores.total.games for scores in env_runner.matchmaker.drain().values())
        env_runner.measured[:] = True
        env_runner.sample()
        return unmeasured, sum(scores.total.games for scores in env_runner.matchmaker.drain().values())

    ((unmeasured, measured),) = on_runners(algorithm, count)
    assert unmeasured == 0
    assert measured > 0


@pytest.mark.slow
def test_main_and_its_frozen_copy_choose_alike_where_it_counts(build_apex: BuildApex) -> None:
    """The same network scores half against itself, in the same kind of games as those in the pool."""
    algorithm = build_apex("rollout.mirror_share=0", "rollout.envs_per_runner=512", "apex.epsilon=0.01")
    learn(algorithm, 100)
    member = algorithm.league.freeze_main()
    algorithm.league.sync(algorithm.env_runner_group)
    alone = Roster({member.id: member.module}, (1.0,), 0.0, (1, 1))

    def play(env_runner: Any) -> SeatScores:
        env_runner.matchmaker.follow(alone)
        env_runner.restart_games()
        for _ in range(12):
            env_runner.sample()
        scores: SeatScores = env_runner.matchmaker.drain()[member.id]
        return scores

    ((scores),) = on_runners(algorithm, play)
    total = scores.total
    assert total.games > 1000
    assert total.share == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(total.games))


@pytest.mark.slow
def test_several_learners_and_shards_share_the_work(build_apex: BuildApex, monkeypatch: pytest.MonkeyPatch) -> None:
    """TD errors return from all learners, and batches come from all shards."""
    algorithm = build_apex("learners=2", "replay.shards=3", "rollout.env_runners=2")
    lengths: list[tuple[int, int]] = []
    update = algorithm.replay.update_priorities

    def noting(batch: Batch, td_errors: np.ndarray) -> None:
        lengths.append((len(batch), len(td_errors)))
        update(batch, td_errors)

    monkeypatch.setattr(algorithm.replay, "update_priorities", noting)
    result = learn(algorithm, 60)
    assert set(result["waiting"]) == {"learner", "actor_1", "actor_2", "shard_1", "shard_2", "shard_3"}
    assert set(lengths) == {(512, 512)}


@pytest.mark.slow
def test_a_killed_actor_comes_back_with_weights_and_roster(build_apex: BuildApex) -> None:
    """Its orders carry everything."""
    algorithm = build_apex("rollout.mirror_share=0.0")
    learn(algorithm, 8)
    algorithm.league.freeze_main()
    (before,) = on_runners(algorithm, process_id)
    ray.kill(algorithm.env_runner_group._worker_manager.actors()[1], no_restart=False)
    while on_runners(algorithm, process_id) in ([], [before]):
        algorithm.train()
    steps = algorithm.env_steps
    learn(algorithm, 20)
    assert algorithm.env_steps > steps
    (roster,) = on_runners(algorithm, lambda runner: runner.matchmaker.roster)
    assert "v0001" in roster.modules
    (hashes,) = hashes_on_runners(algorithm)
    assert hashes["opponent_0"] == hashes_on_learner(algorithm)["opponent_0"]


@pytest.mark.parametrize("shards", [1, 2])
@pytest.mark.slow
def test_a_killed_shard_is_replaced_by_an_empty_one(build_apex: BuildApex, shards: int) -> None:
    """Learning goes on, with what other shards hold or when the new one has filled."""
    algorithm = build_apex(f"replay.shards={shards}")
    learn(algorithm, 8)
    ray.kill(algorithm.replay.shards[0])
    result = learn(algorithm, 40)
    while not result["replay_buffer"]["shards_replaced"]:
        result = algorithm.train()
    assert algorithm.replay.replaced == [1]
    learn(algorithm, 40)
    assert ray.get(algorithm.replay.shards[0].describe.remote())["size"] > 0


@pytest.mark.parametrize("contents", [True, False], ids=["with contents", "without"])
@pytest.mark.slow
def test_a_checkpoint_brings_everything_back(build_apex: BuildApex, tmp_path: Path, contents: bool) -> None:
    """Weights, target network, league and counters; the replay if it was asked for."""
    setting = f"replay.in_checkpoints={str(contents).lower()}"
    algorithm = build_apex(setting, "apex.target_every=1000")
    learn(algorithm, 12)
    algorithm.league.freeze_main()
    algorithm.save_to_path(str(tmp_path / "checkpoint"))
    held = algorithm.replay.describe()["size"]
    target = {
        name: array.numpy().copy() for name, array in algorithm.learner_group._learner._target.state_dict().items()
    }
    other = build_apex(setting, "apex.target_every=1000", folder=tmp_path / "other")
    other.restore_from_path(str(tmp_path / "checkpoint"))
    assert hashes_on_learner(other) == hashes_on_learner(algorithm)
    assert hashes_on_runners(other) == [hashes_on_learner(algorithm)]
    for name, array in other.learner_group._learner._target.state_dict().items():
        np.testing.assert_array_equal(array.numpy(), target[name])
    assert other.env_steps == algorithm.env_steps
    assert len(other.league.pool.snapshots) == 1
    restored = other.replay.describe()["size"]
    assert restored == (held if contents else 0)
    learn(other, 8)


@pytest.mark.slow
def test_restoring_a_running_league_forgets_what_is_under_way(build_apex: BuildApex, tmp_path: Path) -> None:
    """No order, batch, report or transition of before counts, and the first order carries the restored weights."""
    algorithm = build_apex()
    learn(algorithm, 8)
    algorithm.save_to_path(str(tmp_path / "checkpoint"))
    learn(algorithm, 52)
    assert algorithm.replay.describe()["size"]
    algorithm.restore_from_path(str(tmp_path / "checkpoint"))
    saved = hashes_on_learner(algorithm)[MAIN]
    assert algorithm.env_runner_group.num_in_flight_async_reqs("act") == 0
    assert not algorithm.replay.is_requested
    assert not algorithm.actors.has_weights
    assert algorithm.replay.describe()["size"] == algorithm.balance.arrived == algorithm.balance.used == 0
    assert algorithm.league.exchange.collect() == {}
    algorithm._broadcast()
    algorithm._direct_actors(wait=False)
    (after,) = hashes_on_runners(algorithm)
    assert after[MAIN] == saved
    learn(algorithm, 8)


@pytest.mark.slow
def test_a_run_has_a_guest_of_the_other_learner(apex_run: TrainingResult, ppo_run: TrainingResult) -> None:
    """It is played against, and its copy in the run is what it was."""
    manifest = apex_run.run.manifest.read_text()
    assert '"id": "ppo-v1"' in manifest
    assert '"first": "ppo-v1"' in manifest
    copy, original = (
        decode_snapshot(encode_player(spec).data, spec)
        for spec in (f"snapshot:{apex_run.run.path}/ppo-v1", f"snapshot:{ppo_run.run.path}/v1")
    )
    assert weights_sha256(copy.weights) == weights_sha256(original.weights)
    assert copy.network == original.network


@pytest.mark.slow
def test_a_resumed_run_needs_only_its_own_copy_of_a_guest(apex_run: TrainingResult, ppo_run: TrainingResult) -> None:
    """The run that the guest comes from may be gone."""
    moved = ppo_run.run.path.rename(ppo_run.run.path.with_name("moved"))
    try:
        # A path that is relative to this process, not to the one that trains.
        longer = resume(os.path.relpath(apex_run.run.path), ["stop.env_steps=30000"], observer=Observer())
        assert longer.last.env_steps >= 30_000
        assert '"id": "ppo-v1"' in longer.run.manifest.read_text()
    finally:
        moved.rename(ppo_run.run.path)


@pytest.mark.slow
def test_ppo_has_a_guest_that_apex_trained(apex_run: TrainingResult, build: Build) -> None:
    """In another network."""
    algorithm = build(
        *LOCKSTEP, f"league.opponents=[{OWN}, snapshot:{apex_run.run.path}/main]", "rollout.mirror_share=0.0"
    )
    assert "apex-main" in algorithm.train()["opponent_scores"]
    found = hashes_on_learner(algorithm)
    assert len(set(found.values())) > 1
    assert weights_sha256(module_weights(algorithm, "guest_0")) == (
        weights_sha256(decode_snapshot(encode_player(f"snapshot:{apex_run.run.path}/main").data, "main").weights)
    )


@pytest.mark.slow
def test_guests_never_leave_and_are_never_the_best_of_the_run(apex_run: TrainingResult) -> None:
    """``snapshot:RUN/best`` is a policy that the run trained."""
    assert encode_player(f"snapshot:{apex_run.run.path}/best").name != "apex/ppo-v1"


@pytest.mark.slow
def test_a_q_network_is_exported_and_plays_like_torch(apex_run: TrainingResult, tmp_path: Path) -> None:
    """The export checks it against Torch; the file is a player."""
    export_onnx(apex_run.run.path, tmp_path / "model.onnx")
    player = parse_player(f"onnx:{tmp_path / 'model.onnx'}", greedy=True)
    assert player.name


def test_an_unknown_guest_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    """In one sentence."""
    settings = load_settings(None, ["algorithm=apex", f"league.guests=[snapshot:{tmp_path}/none/v1]"])
    with pytest.raises(RunFolderError, match="is not a run folder"):
        train(settings, tmp_path / "run", observer=Observer())
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_run_cannot_change_its_learner(ppo_run: TrainingResult) -> None:
    """Whatever else is overridden."""
    with pytest.raises(RunFolderError, match=r"is a run of algorithm=ppo and cannot be resumed with algorithm=apex"):
        resume(ppo_run.run.path, ["algorithm=apex"], observer=Observer())


@pytest.mark.slow
def test_a_checkpoint_of_the_other_learner_is_refused(build_apex: BuildApex, ppo_run: TrainingResult) -> None:
    """Before anything is loaded."""
    algorithm = build_apex()
    with pytest.raises(SnapshotError, match=r"has a network with .*head = policy, unlike this run with algorithm=apex"):
        algorithm.restore_from_path(ppo_run.checkpoint.path)


def test_settings_of_the_other_learner_are_refused() -> None:
    """By the configurations that a program builds."""
    with pytest.raises(ConfigError, match=r"SelfPlayApexConfig was given settings of algorithm=ppo"):
        SelfPlayApexConfig.from_settings(load_settings())
    with pytest.raises(ConfigError, match=r"SelfPlayPPOConfig was given settings of algorithm=apex"):
        SelfPlayPPOConfig.from_settings(load_settings(None, ["algorithm=apex"]))


@pytest.mark.slow
def test_shards_end_with_the_algorithm(tmp_path: Path) -> None:
    """Nothing is left behind on the cluster."""
    algorithm = apex_config(tmp_path).build_algo()
    (shard,) = algorithm.replay.shards
    algorithm.stop()
    wait_for_death(shard)
