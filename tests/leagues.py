"""Tiny leagues for tests, and what their env runners say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from callbacks.self_play import SelfPlayCallback
from connectfour.league.members import MAIN
from connectfour.league.snapshots import weights_sha256
from connectfour.learning.ppo.algorithm import SelfPlayPPO, SelfPlayPPOConfig
from connectfour.learning.sync import module_weights, runner_hashes
from tests.conftest import tiny_settings

Build = Callable[..., SelfPlayPPO]


def config(folder: Path, *overrides: str) -> SelfPlayPPOConfig:
    """A tiny league in ``folder``."""
    built = SelfPlayPPOConfig.from_settings(tiny_settings(*overrides))
    built.callbacks(SelfPlayCallback)
    return built.league(folder=folder)


def on_runners(algorithm: SelfPlayPPO, function: Callable[[Any], Any]) -> list[Any]:
    """Call ``function`` on every env runner that samples."""
    group = algorithm.env_runner_group
    return list(group.foreach_env_runner(function, local_env_runner=group.num_remote_env_runners() == 0))


def hashes_on_runners(algorithm: SelfPlayPPO) -> list[dict[str, str]]:
    """Return the hash of every network's weights on every env runner."""
    networks = [MAIN, *(f"opponent_{slot}" for slot in range(algorithm.settings.league.opponent_count))]
    return on_runners(algorithm, lambda runner: runner_hashes(runner, networks))


def hashes_on_learner(algorithm: SelfPlayPPO) -> dict[str, str]:
    """Return the same of the learner."""
    networks = [MAIN, *(f"opponent_{slot}" for slot in range(algorithm.settings.league.opponent_count))]
    return {name: weights_sha256(module_weights(algorithm, name)) for name in networks}
