"""Ape-X without a league: Gymnasium environments, and the example."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch

from connectfour.apex.algorithm import Apex, ApexConfig
from connectfour.apex.gym_actor import GymActor
from connectfour.errors import ConfigError
from connectfour.league.snapshots import weights_sha256
from tests.leagues import on_runners

pytestmark = pytest.mark.usefixtures("ray_session")


class Corridor(gym.Env):  # type: ignore[misc]  # Gymnasium is untyped here
    """Ten cells; right leads to the end and a reward of 1, left leads back; truncated after 15 steps."""

    observation_space = gym.spaces.Box(0, 1, (10,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, config: Any = None) -> None:
        """Accept RLlib's settings of an environment; there are none."""

    def reset(self, **kwargs: Any) -> Any:
        self.cell = self.taken = 0
        return self._observe(), {}

    def step(self, action: int) -> Any:
        self.taken += 1
        self.cell = max(0, self.cell + (1 if action else -1))
        return self._observe(), float(self.cell == 9), self.cell == 9, self.taken == 15, {}

    def _observe(self) -> Any:
        return np.eye(10, dtype=np.float32)[self.cell]


def corridor() -> ApexConfig:
    """Return a configuration that trains fast."""
    config = ApexConfig()
    config.environment(Corridor)
    config.env_runners(num_env_runners=1, num_envs_per_env_runner=4)
    config.training(batch_size=64, updates_per_iteration=4, anneal_env_steps=10_000)
    config.replay(capacity=5000, learning_starts=200)
    config.rl_module(model_config={"hidden": (32,)})
    config.debugging(seed=0, log_level="ERROR")
    return config


@pytest.fixture
def algorithm() -> Iterator[Apex]:
    """An algorithm for the corridor."""
    built: Apex = corridor().build_algo()
    yield built
    built.stop()


@pytest.mark.slow
def test_it_learns_the_values_of_a_task_that_needs_bootstrapping(algorithm: Apex) -> None:
    """From the reward at the end back to the beginning, each step right is worth a discount more."""
    cells = torch.eye(10)[:9]
    expected = 0.99 ** np.arange(8, -1, -1)
    for _ in range(2000):
        result = algorithm.train()
        q = algorithm.learner_group._learner.module["default_policy"].q_values(cells).detach().numpy()
        mean_return = result["env_runners"].get("episode_return_mean", 0)
        if np.abs(q[:, 1] - expected).max() < 0.05 and (q.argmax(axis=1) == 1).all() and mean_return >= 0.95:
            break
    else:
        pytest.fail(f"values of going right: {q[:, 1]} instead of {expected}; mean return: {mean_return}")


class Countdown(gym.Env):  # type: ignore[misc]  # Gymnasium is untyped here
    """Takes the actions 5 and 6 only, and shows its place among all environments."""

    observation_space = gym.spaces.Box(0, 9, (2,), np.float32)
    action_space = gym.spaces.Discrete(2, start=5)

    def __init__(self, config: Any = None) -> None:
        self.place = np.array([config.worker_index, config.vector_index], np.float32)
        self.num_workers = config.num_workers

    def reset(self, **kwargs: Any) -> Any:
        return self.place, {}

    def step(self, action: int) -> Any:
        if action not in {5, 6}:
            raise ValueError(f"unknown action {action}")
        return self.place, 0.0, False, False, {}


def test_environments_get_rllibs_context_and_their_own_actions() -> None:
    """Which worker and copy it is, and actions that do not begin at 0."""
    config = corridor()
    config.environment(Countdown)
    config.env_runners(num_env_runners=1, num_envs_per_env_runner=2)
    algorithm = config.build_algo()

    def places(env_runner: Any) -> tuple[list[list[float]], int]:
        columns = env_runner.sample().columns
        return np.unique(columns["obs"], axis=0).tolist(), env_runner.env.envs[0].num_workers

    assert on_runners(algorithm, places) == [([[1, 0], [1, 1]], 1)]
    algorithm.stop()


def test_resets_and_truncations_are_not_transitions(algorithm: Apex) -> None:
    """A truncated episode bootstraps from its last observation; the step in which an environment resets is left out."""
    ((transitions),) = on_runners(algorithm, lambda actor: [actor.sample().columns for _ in range(20)])
    for columns in transitions[1:]:
        now, later = columns["obs"].argmax(axis=1), columns["next.obs"].argmax(axis=1)
        ended = columns["discount"] == 0
        assert (later[ended] == 9).all()
        assert set(columns["return"][~ended].tolist()) == {0.0}
        assert (np.abs(later - now) <= 3).all(), "at most n steps, and never across a reset"


def learn(algorithm: Apex, updates: int) -> None:
    """Train until ``updates`` more gradient steps are done."""
    goal = algorithm.updates + updates
    while algorithm.updates < goal:
        algorithm.train()


def weights_on(algorithm: Apex) -> tuple[str, list[str]]:
    """Return the hashes of the module's weights on the learner and on the actors."""
    own = algorithm.learner_group.get_weights(["default_policy"])["default_policy"]
    found = on_runners(algorithm, lambda actor: weights_sha256(actor.module["default_policy"].get_state()))
    return weights_sha256(own), found


@pytest.mark.parametrize("running", [True, False], ids=["running", "new"])
@pytest.mark.slow
def test_a_checkpoint_is_restored_into_an_algorithm(running: bool, algorithm: Apex, tmp_path: Path) -> None:
    """Weights, counters and replay come back, and the actors follow the next broadcasts at once."""
    learn(algorithm, 200)
    saved, _ = weights_on(algorithm)
    steps, iteration = algorithm.env_steps, algorithm.iteration
    algorithm.save_to_path(str(tmp_path / "checkpoint"))
    if running:
        other = algorithm
        learn(algorithm, 40)
    else:
        other = corridor().build_algo()
    other.restore_from_path(str(tmp_path / "checkpoint"))
    assert weights_on(other) == (saved, [saved])
    assert (other.env_steps, other.iteration) == (steps, iteration)
    assert not other.replay.is_requested
    assert other.balance.arrived == other.replay.describe()["size"] == 0
    learn(other, 40)
    (found,) = on_runners(other, lambda actor: weights_sha256(actor.module["default_policy"].get_state()))
    assert found != saved, "ten broadcasts later, the actor has newer weights"
    other.stop()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (
            lambda config: config.env_runners(num_env_runners=0),
            r"num_env_runners = 0: Ape-X acts in remote env runners",
        ),
        (lambda config: config.replay(capacity=10), r"replay\.capacity = 10 is smaller than batch_size = 64"),
        (
            lambda config: config.replay(learning_starts=9000),
            r"replay\.learning_starts = 9000 is larger than replay\.capacity = 5000",
        ),
        (lambda config: config.replay(shards=0), r"shards = 0 is not allowed"),
        (
            lambda config: config.evaluation(evaluation_interval=1),
            r"evaluation_interval = 1: RLlib's evaluation counts",
        ),
    ],
)
def test_what_cannot_work_is_refused_in_one_sentence(change: Any, complaint: str) -> None:
    """Before anything starts."""
    config = corridor()
    change(config)
    with pytest.raises(ConfigError, match=complaint):
        config.validate()


def test_an_environment_of_another_kind_is_refused() -> None:
    """With what is needed instead."""
    config = corridor()
    config.environment("FrozenLake-v1")
    with pytest.raises(ConfigError, match=r"GymActor needs a vector and Discrete actions"):
        GymActor(config)


@pytest.mark.slow
def test_the_cartpole_example_learns_and_goes_on(tmp_path: Path) -> None:
    """To a return that a random policy never has, with a curve that a second part continues."""
    from examples.apex_cartpole import configure, train

    checkpoints = tmp_path / "checkpoints"
    first = train(configure(actors=1, seed=0), goal=40, minutes=3, checkpoints=checkpoints)
    assert first.returns[-1] >= 40
    curve = train(configure(actors=1, seed=0), goal=80, minutes=6, checkpoints=checkpoints, resume=True)
    assert curve.env_steps[: len(first.env_steps)] == first.env_steps
    assert curve.returns[-1] >= 80
    assert curve.env_steps == sorted(curve.env_steps)
    assert curve.minutes == sorted(curve.minutes)
    assert len(list(checkpoints.iterdir())) == 1
    curve.draw(str(tmp_path / "curve.png"), 80)
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")
