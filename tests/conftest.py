"""Fixtures that several tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

# Threads beyond the cores make small networks slower.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("SDL_VIDEODRIVER", "dummy")

from connectfour import ray_session as local_ray
from connectfour.config import RunSettings, load_settings

if TYPE_CHECKING:
    from connectfour.learning.ppo.algorithm import SelfPlayPPO
    from tests.leagues import Build


@pytest.fixture(scope="session")
def ray_session() -> Iterator[None]:
    """A real Ray on loopback for the whole session."""
    with local_ray.ray_session(cpus=6):
        yield


@pytest.fixture(scope="session")
def ranked_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with leaderboard, games and the web app's bundle, for reading: whoever changes something takes a copy."""
    from connectfour.export.bundle import write_bundle
    from tests.runs import QUIET, make_ranked_run

    run = make_ranked_run(tmp_path_factory.mktemp("ranked") / "demo")
    write_bundle(run / "app", QUIET, run=run)
    return run


def tiny_settings(*overrides: str) -> RunSettings:
    """Settings of a league so small that an iteration takes a fraction of a second."""
    return load_settings(
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
            "league.heuristics=[random, always_same, linear]",
            "league.opponent_count=5",
            "grading.every=0",
            *overrides,
        ],
    )


@pytest.fixture
def build(tmp_path: Path, ray_session: None) -> Iterator[Build]:
    """Build tiny leagues that are stopped afterwards."""
    from tests.leagues import config

    algorithms: list[SelfPlayPPO] = []

    def build_one(*overrides: str, folder: Path = tmp_path / "league") -> SelfPlayPPO:
        algorithms.append(config(folder, *overrides).build_algo())
        return algorithms[-1]

    yield build_one
    for algorithm in algorithms:
        algorithm.stop()
