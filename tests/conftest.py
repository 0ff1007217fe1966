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

import connectfour.ray_session

if TYPE_CHECKING:
    from connectfour.learning.ppo.algorithm import SelfPlayPPO
    from tests.leagues import Build


@pytest.fixture(scope="session")
def ray_session() -> Iterator[None]:
    """A real Ray on loopback for the whole session."""
    with connectfour.ray_session.ray_session(cpus=6):
        yield


@pytest.fixture(scope="session")
def ranked_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with leaderboard, games and bundle, to be read only: tests that change something take a copy."""
    from connectfour.export.bundling import plan_bundle, write_bundle
    from tests.runs import make_ranked_run

    run = make_ranked_run(tmp_path_factory.mktemp("ranked") / "demo")
    write_bundle(run / "app", plan_bundle(run))
    return run


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
