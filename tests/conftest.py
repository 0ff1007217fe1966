"""Fixtures that several tests share."""

from __future__ import annotations

import os
import shutil
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock

# Threads beyond the cores make small networks slower.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("SDL_VIDEODRIVER", "dummy")

import connectfour.cluster.session

if TYPE_CHECKING:
    from connectfour.learning.apex.algorithm import SelfPlayApex
    from connectfour.learning.ppo.algorithm import SelfPlayPPO
    from connectfour.storage.remote import RemoteFolder
    from tests.leagues import Build, BuildApex


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start files that use Ray first: they take longest, and workers that share the suite then end together."""
    with_ray = {item.path for item in items if "ray_session" in getattr(item, "fixturenames", ())}
    items.sort(key=lambda item: item.path not in with_ray)


@pytest.fixture(scope="session")
def ray_session() -> Iterator[None]:
    """A real Ray on loopback for the whole session."""
    with connectfour.cluster.session.ray_session(cpus=6):
        yield


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The URL of a real S3 server on loopback, for the whole session."""
    from tests.object_store import s3_server

    with s3_server() as url:
        yield url


@pytest.fixture
def store(
    s3_server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, request: pytest.FixtureRequest
) -> RemoteFolder:
    """A new folder in a new bucket, and a cache for its copies."""
    from connectfour.storage import lease
    from connectfour.storage.remote import remote_folder
    from tests.object_store import make_bucket, use_server

    bucket = f"bucket-{zlib.crc32(request.node.nodeid.encode())}"
    use_server(s3_server, monkeypatch)
    make_bucket(s3_server, bucket)
    monkeypatch.setenv("CONNECTFOUR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(lease, "_SECONDS_TO_WRITE", 0.5)
    monkeypatch.setattr(lease, "_SECONDS_TO_SETTLE", 1.5)  # the server's times are whole seconds
    return remote_folder(f"s3://{bucket}/runs/first")


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
