"""Fixtures that several tests share."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock

# Threads beyond the cores make small networks slower.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("SDL_VIDEODRIVER", "dummy")

import connectfour.system.ray_session

if TYPE_CHECKING:
    from connectfour.learning.apex.algorithm import SelfPlayApex
    from connectfour.learning.ppo.algorithm import SelfPlayPPO
    from tests.leagues import Build, BuildApex


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start files that use Ray first: they take longest, and workers that share the suite then end together."""
    with_ray = {item.path for item in items if "ray_session" in getattr(item, "fixturenames", ())}
    items.sort(key=lambda item: item.path not in with_ray)


@pytest.fixture(scope="session")
def ray_session() -> Iterator[None]:
    """A real Ray on loopback for the whole session."""
    with connectfour.system.ray_session.ray_session(cpus=6):
        yield


@pytest.fixture(scope="session")
def ranked_run(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A run with leaderboard, games and bundle. It is read-only: tests that change something take a copy."""
    if worker_id == "master":
        return _make_ranked_run(tmp_path_factory)
    # One worker makes the run, and each has a copy: the app rewrites the bundle of the run that it serves.
    made = tmp_path_factory.getbasetemp().parent / "ranked"
    with FileLock(made.with_suffix(".lock")):
        if not made.exists():
            shutil.copytree(_make_ranked_run(tmp_path_factory).parent, made)
    return Path(shutil.copytree(made, tmp_path_factory.mktemp("copied") / "ranked"), "demo")


def _make_ranked_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
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


@pytest.fixture
def build_apex(tmp_path: Path, ray_session: None) -> Iterator[BuildApex]:
    """Build tiny leagues that learn with Ape-X and are stopped afterwards."""
    from tests.leagues import apex_config

    algorithms: list[SelfPlayApex] = []

    def build_one(*overrides: str, folder: Path = tmp_path / "league") -> SelfPlayApex:
        algorithms.append(apex_config(folder, *overrides).build_algo())
        return algorithms[-1]

    yield build_one
    for algorithm in algorithms:
        algorithm.stop()
