"""Tiny leagues for tests, and what their env runners hold."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayActorError

from connectfour.league.members import MAIN
from connectfour.league.snapshots import weights_sha256
from connectfour.learning.apex.algorithm import SelfPlayApex, SelfPlayApexConfig
from connectfour.learning.ppo.algorithm import SelfPlayPPO, SelfPlayPPOConfig
from connectfour.learning.ppo.settings import PPORunSettings
from connectfour.learning.sync import module_weights, runner_hashes
from connectfour.settings.reading import load_settings

Build = Callable[..., SelfPlayPPO]
BuildApex = Callable[..., SelfPlayApex]

LOCKSTEP = ("rollout.env_runner=lockstep", "rollout.envs_per_runner=64", "ppo.batch_size=2048")


def tiny_settings(*overrides: str) -> PPORunSettings:
    """Return the settings of a league so small that an iteration takes a fraction of a second."""
    settings = load_settings(
        None,
        [
            "threads=1",
            "network.width=16",
            "network.layers=1",
            "rollout.env_runner=stock",
            "rollout.env_runners=0",
            "rollout.envs_per_runner=4",
            "rollout.mirror_opening_plies=4",
            "ppo.batch_size=200",
            "ppo.minibatch_size=64",
            "ppo.epochs=1",
            "league.opponents=[heuristic:random, heuristic:always_same, heuristic:linear]",
            "league.opponent_count=5",
            "league.newest_threshold=0",
            "league.newest_games=1",
            "grading.every=0",
            *overrides,
        ],
    )
    assert isinstance(settings, PPORunSettings)
    return settings


def apex_config(folder: Path, *overrides: str) -> SelfPlayApexConfig:
    """Return the configuration of a tiny league in ``folder`` that learns with Ape-X."""
    settings = load_settings(
        None,
        [
            "algorithm=apex",
            "network.width=16",
            "network.layers=1",
            "rollout.envs_per_runner=64",
            "apex.batch_size=128",
            "apex.updates_per_iteration=4",
            "replay.capacity=8192",
            "replay.learning_starts=1024",
            "league.opponents=[heuristic:random, heuristic:always_same, heuristic:linear]",
            "league.opponent_count=5",
            "league.newest_threshold=0",
            "league.newest_games=1",
            "grading.every=0",
            *overrides,
        ],
    )
    built = SelfPlayApexConfig.from_settings(settings)
    return built.league(folder=folder)


def config(folder: Path, *overrides: str) -> SelfPlayPPOConfig:
    """Return the configuration of a tiny league in ``folder``."""
    built = SelfPlayPPOConfig.from_settings(tiny_settings(*overrides))
    return built.league(folder=folder)


def wait_for_death(shard: Any) -> None:
    """Wait until a replay shard is dead."""
    try:
        while True:
            ray.get(shard.describe.remote())
    except RayActorError:
        return


def on_runners(algorithm: SelfPlayPPO | SelfPlayApex, function: Callable[[Any], Any]) -> list[Any]:
    """Call ``function`` on every env runner that samples."""
    group = algorithm.env_runner_group
    return list(group.foreach_env_runner(function, local_env_runner=group.num_remote_env_runners() == 0))


def hashes_on_runners(algorithm: SelfPlayPPO | SelfPlayApex) -> list[dict[str, str]]:
    """Return the hash of every network's weights on every env runner."""
    networks = [MAIN, *(f"opponent_{slot}" for slot in range(algorithm.league.settings.league.opponent_count))]
    return on_runners(algorithm, lambda runner: runner_hashes(runner, networks))


def hashes_on_learner(algorithm: SelfPlayPPO | SelfPlayApex) -> dict[str, str]:
    """Return the hash of every network's weights on the learner."""
    networks = [MAIN, *(f"opponent_{slot}" for slot in range(algorithm.league.settings.league.opponent_count))]
    return {name: weights_sha256(module_weights(algorithm, name)) for name in networks}
