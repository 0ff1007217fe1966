"""What happens to training when env runners fail, die or hang, on a real Ray."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import ray
from ray import tune
from ray.rllib.callbacks.callbacks import RLlibCallback

from connectfour.apex.algorithm import Apex, ApexConfig
from connectfour.errors import NoProgressError, TrainingError
from connectfour.league.members import MAIN
from connectfour.league.snapshots import decode_snapshot
from connectfour.runs.checkpoints import CHECKPOINT_POLICY, read_checkpoint
from connectfour.system.observer import Observer
from connectfour.training.train import train
from tests.leagues import LOCKSTEP, Build, apex_config, config, on_runners, tiny_settings

pytestmark = pytest.mark.usefixtures("ray_session")

BuildGym = Callable[..., Apex]

FOR_EVER = 10_000.0
LEARNERS = ["ppo", pytest.param("apex", marks=pytest.mark.slow)]


class Troubled(gym.Env):  # type: ignore[misc]  # Gymnasium is untyped here
    """An environment that works until its file exists; then it does what is written there."""

    observation_space = gym.spaces.Box(0, 1, (4,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, config: Any) -> None:
        self.file, self.index = Path(config["file"]), config.worker_index

    def reset(self, **kwargs: Any) -> Any:
        return np.zeros(4, np.float32), {}

    def step(self, action: int) -> Any:
        trouble = self.file.read_text() if self.file.exists() else ""
        if trouble == "raise":
            raise RuntimeError("the robot fell over")
        if trouble in {"hang", f"hang {self.index}"}:
            time.sleep(FOR_EVER)
        return np.zeros(4, np.float32), self.reward(trouble), False, False, {}

    @staticmethod
    def reward(trouble: str) -> float:
        return float("nan") if trouble == "only nan" or (trouble == "nan" and random.random() < 0.1) else 0.0


@pytest.fixture
def build_gym(tmp_path: Path) -> Iterator[BuildGym]:
    """Builds Ape-X on the environment above, whose file is ``tmp_path / "trouble"``."""
    built: list[Apex] = []

    def build_one(*, env_runners: int = 1, patience: float = 4.0) -> Apex:
        config = ApexConfig()
        config.environment(Troubled, env_config={"file": str(tmp_path / "trouble")})
        config.env_runners(num_env_runners=env_runners, num_envs_per_env_runner=4)
        config.training(batch_size=64, updates_per_iteration=2)
        config.replay(capacity=2000, learning_starts=200)
        config.rl_module(model_config={"hidden": (8,)})
        config.fault_tolerance(patience=patience)
        config.debugging(seed=0, log_level="ERROR")
        built.append(config.build_algo())
        return built[-1]

    yield build_one
    for each in built:
        each.stop()


def kill_for_good(algorithm: Any) -> None:
    """Kill the env runners as Ray does when it has restarted them too often."""
    for actor in algorithm.env_runner_group._worker_manager.actors().values():
        ray.kill(actor, no_restart=True)


def train_to_the_end(algorithm: Any) -> None:
    """Train until an error ends it."""
    while True:
        algorithm.train()


@pytest.mark.slow
def test_an_environment_that_raises_ends_training_with_its_own_error(
    build_gym: BuildGym, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """After restarts in vain; no iteration is counted meanwhile."""
    algorithm = build_gym(patience=3.0)
    algorithm.train()
    (tmp_path / "trouble").write_text("raise")
    with pytest.raises(NoProgressError, match=r"no progress for 3 s: .*RuntimeError: the robot fell over.*patience"):
        train_to_the_end(algorithm)
    before = algorithm.iteration
    with pytest.raises(NoProgressError):
        algorithm.train()
    assert algorithm.iteration == before
    said = [record.getMessage() for record in caplog.records if record.name == "connectfour"]
    assert said[0] == "env runner 1 failed: RuntimeError: the robot fell over; it is restarted"
    assert any(sentence.startswith("training is waiting, for at most 3 s: ") for sentence in said)


@pytest.mark.slow
def test_an_environment_that_recovers_goes_on(build_gym: BuildGym, tmp_path: Path) -> None:
    """In a new process."""
    algorithm = build_gym(patience=60.0)
    algorithm.train()
    trouble = tmp_path / "trouble"
    trouble.write_text("raise")
    revived: list[int] = []

    def mend(indices: Any) -> None:
        trouble.unlink(missing_ok=True)
        revived.extend(indices)

    algorithm.actors.revived = mend  # type: ignore[method-assign]
    steps = algorithm.env_steps
    while not revived:
        algorithm.train()
    algorithm.train()
    assert algorithm.env_steps > steps


@pytest.mark.slow
def test_training_ends_when_every_actor_is_gone(build_gym: BuildGym) -> None:
    """It does not spin."""
    algorithm = build_gym(patience=2.0)
    algorithm.train()
    kill_for_good(algorithm)
    with pytest.raises(NoProgressError, match="no env runner is left"):
        train_to_the_end(algorithm)


@pytest.mark.slow
def test_an_actor_that_hangs_is_restarted_while_the_others_go_on(
    build_gym: BuildGym, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Learning does not wait for it."""
    algorithm = build_gym(env_runners=2, patience=3.0)
    algorithm.train()
    (tmp_path / "trouble").write_text("hang 2")
    said = "env runner 2 has not answered for 3 s; it is restarted"
    while said not in caplog.messages:
        algorithm.train()
    (tmp_path / "trouble").unlink()
    while algorithm.env_runner_group.num_healthy_remote_env_runners() < 2:
        algorithm.train()


@pytest.mark.slow
def test_training_ends_when_every_actor_hangs(build_gym: BuildGym, tmp_path: Path) -> None:
    """And stops in spite of them."""
    algorithm = build_gym(patience=3.0)
    algorithm.train()
    (tmp_path / "trouble").write_text("hang")
    with pytest.raises(NoProgressError, match="answered for 3 s"):
        train_to_the_end(algorithm)


@pytest.mark.slow
def test_rewards_that_are_not_numbers_are_refused_by_the_replay(build_gym: BuildGym, tmp_path: Path) -> None:
    """So nothing is learned from them, and what is in the replay stays usable."""
    algorithm = build_gym()
    algorithm.train()
    (tmp_path / "trouble").write_text("nan")
    result: dict[str, Any] = {}
    while not result.get("replay_buffer", {}).get("transitions_refused"):
        result = algorithm.train()
    assert np.isfinite(result["learners"]["default_policy"]["q_loss"])


@pytest.mark.slow
def test_an_environment_without_any_number_ends_training(build_gym: BuildGym, tmp_path: Path) -> None:
    """Otherwise the learner would repeat what it has for ever."""
    (tmp_path / "trouble").write_text("only nan")
    algorithm = build_gym(patience=3.0)
    with pytest.raises(NoProgressError, match="TD errors are not finite"):
        train_to_the_end(algorithm)


@pytest.mark.slow
def test_a_lockstep_env_runner_that_fails_is_restarted(build: Build, caplog: pytest.LogCaptureFixture) -> None:
    """PPO goes on with the new one, and says what the error was."""
    algorithm = build(*LOCKSTEP, "rollout.env_runners=1")
    algorithm.train()

    def break_it(env_runner: Any) -> None:
        env_runner.learnable = None

    on_runners(algorithm, break_it)
    steps = algorithm.env_steps
    while not any("TypeError" in message and "it is restarted" in message for message in caplog.messages):
        algorithm.train()
    algorithm.train()
    assert algorithm.env_steps > steps


@pytest.mark.slow
@pytest.mark.parametrize("runner", [LOCKSTEP, ("rollout.env_runner=stock",)], ids=["lockstep", "stock"])
def test_ppo_ends_when_every_env_runner_is_gone(build: Build, runner: tuple[str, ...]) -> None:
    """With the same sentence as Ape-X."""
    algorithm = build(*runner, "rollout.env_runners=1", "fault.patience=2")
    algorithm.train()
    kill_for_good(algorithm)
    with pytest.raises(NoProgressError, match="no progress for 2 s: no env runner is left"):
        train_to_the_end(algorithm)


@pytest.mark.slow
def test_ppo_ends_when_its_env_runner_hangs(build: Build) -> None:
    """Not even the league's exchange of results waits for ever."""
    algorithm = build(*LOCKSTEP, "rollout.env_runners=1", "fault.patience=3")
    algorithm.train()

    def hang(env_runner: Any) -> None:
        env_runner.learnable = lambda rollout: time.sleep(FOR_EVER)

    on_runners(algorithm, hang)
    with pytest.raises(NoProgressError, match="has not answered for 3 s"):
        train_to_the_end(algorithm)


class Trouble(RLlibCallback):  # type: ignore[misc]  # Ray's classes are untyped here
    """Makes trouble after the third iteration."""

    def on_train_result(self, *, algorithm: Any, result: dict[str, Any], **kwargs: Any) -> None:
        if algorithm.iteration == 3:
            self.make_trouble(algorithm)

    def make_trouble(self, algorithm: Any) -> None:
        """Do it."""


class LosesEnvRunners(Trouble):
    """Loses all env runners."""

    def make_trouble(self, algorithm: Any) -> None:
        kill_for_good(algorithm)


class Diverges(Trouble):
    """Turns a weight into something that is not a number."""

    def make_trouble(self, algorithm: Any) -> None:
        weights = algorithm.learner_group.get_weights([MAIN])[MAIN]
        algorithm.learner_group.set_weights({MAIN: {name: array * np.nan for name, array in weights.items()}})


def tune_league(built: Any, folder: Path, callback: type[Trouble]) -> Any:
    """Train a league in Tune, with a checkpoint every second iteration, and return the result of its trial."""
    tuner = tune.Tuner(
        built.algo_class,
        param_space=built.callbacks(callback),
        run_config=tune.RunConfig(
            name="league",
            storage_path=str(folder),
            checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=2, checkpoint_at_end=True),
            verbose=0,
        ),
    )
    (result,) = tuner.fit()
    return result


@pytest.mark.parametrize("learner", LEARNERS)
@pytest.mark.slow
def test_a_run_that_waited_in_vain_saves_and_ends(tmp_path: Path, learner: str) -> None:
    """Its checkpoint is of the last iteration; those before it are not pushed out by checkpoints of nothing."""
    options = ("rollout.env_runners=1", "fault.patience=2")
    built = (
        config(tmp_path / "league", *LOCKSTEP, *options)
        if learner == "ppo"
        else apex_config(tmp_path / "league", *options)
    )
    result = tune_league(built, tmp_path, LosesEnvRunners)
    assert "no env runner is left" in str(result.error)
    assert "training is waiting, for at most 2 s" in (tmp_path / "league" / "notices.log").read_text()
    saved = [read_checkpoint(Path(checkpoint.path)) for checkpoint, _ in result.best_checkpoints]
    last = result.metrics["training_iteration"]  # a batch may have been on its way
    assert [info.iteration for info in saved if info] == sorted({*range(2, last, 2), last})


@pytest.mark.parametrize("learner", LEARNERS)
def test_a_loss_that_is_not_finite_ends_a_run_after_its_last_good_checkpoint(tmp_path: Path, learner: str) -> None:
    """It is not saved."""
    built = config(tmp_path / "league", *LOCKSTEP) if learner == "ppo" else apex_config(tmp_path / "league")
    result = tune_league(built, tmp_path, Diverges)
    assert "TrainingError: training diverged: the loss of main is nan" in str(result.error)
    (checkpoint,) = [checkpoint for checkpoint, _ in result.best_checkpoints]
    policy = decode_snapshot((Path(checkpoint.path) / CHECKPOINT_POLICY).read_bytes(), "main")
    assert all(np.isfinite(array).all() for array in policy.weights.values())


@pytest.mark.slow
def test_a_command_says_that_a_run_has_diverged(tmp_path: Path) -> None:
    """In one sentence."""
    settings = tiny_settings(*LOCKSTEP, "ppo.learning_rate=1e30", "stop.minutes=1")
    with pytest.raises(TrainingError, match=r"^training diverged: .*resume the newest checkpoint"):
        train(settings, tmp_path / "run", observer=Observer())
