"""A cluster of a head and two workers, each with its own mounts and without the driver's folder."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import pytest

from tests.clusters import RayNode, environment, started
from tests.commands import Finished, command


def _can_unshare() -> bool:
    program = shutil.which("unshare")
    return program is not None and subprocess.run([program, "-m", "true"], check=False).returncode == 0


pytestmark = [
    pytest.mark.cluster,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not _can_unshare(), reason="hiding a folder from a node needs the right to unshare mounts"),
]

TINY = (
    *("-p", "network.width=16", "-p", "rollout.envs_per_runner=64", "-p", "grading.every=0"),
    *("-p", "ppo.batch_size=2048", "-p", "ppo.minibatch_size=512"),
)
TINY_APEX = (
    *("-p", "algorithm=apex", "-p", "network.width=16", "-p", "rollout.envs_per_runner=64", "-p", "grading.every=0"),
    *("-p", "apex.batch_size=128", "-p", "apex.updates_per_iteration=8", "-p", "replay.capacity=8192"),
    *("-p", "replay.learning_starts=1024", "-p", "replay.shards=2"),
)
EXPERIMENT = """\
question: Does one more unit help?
runs: 1
train: {network.width: 16, rollout.envs_per_runner: 64, rollout.env_runners: 0, ppo.batch_size: 2048,
        ppo.minibatch_size: 512, grading.every: 0, stop.env_steps: 8192, stop.minutes: null}
variants: {narrow: {}, wide: {network.width: 18}}
evaluation: {points: 2, games: 4, opponents: ["heuristic:random"]}
examples: {games: 2}
resources: {train: {tags: {worker: 1}}}
"""


class Cluster:
    """The nodes, and a driver on the head.

    Attributes:
        head: address of the head.
        folder: the driver's, which no other node sees.
    """

    def __init__(self, home: Path, folder: Path, variables: Mapping[str, str]) -> None:
        self.folder = folder
        self._home = home
        self._environment = environment(home, {"RAY_AUTH_MODE": "disabled", **variables})
        self._head = RayNode(env=self._environment, cpus=2)
        self.head = self._head.address

    def worker(self, number: int, cpus: int = 2) -> RayNode:
        """Start a node that sees an empty folder in place of the driver's."""
        tags = f'{{"worker": 2, "w{number}": 2}}'
        return RayNode("--resources", tags, env=self._environment, head=self.head, cpus=cpus, hidden=self.folder)

    def run(self, *arguments: object) -> Finished:
        """Run a command on the head, in the driver's folder."""
        done = subprocess.run(
            command(*arguments, "--address", self.head),
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=400,
        )
        return Finished(done.returncode, done.stdout, done.stderr)

    def __enter__(self) -> Self:
        self._stack = ExitStack()
        self._stack.enter_context(started(self._head, self.worker(1), self.worker(2)))
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()


@pytest.fixture(scope="module")
def cluster(s3_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    from tests.object_store import make_bucket, server_environment

    make_bucket(s3_server, "cluster")
    home = tmp_path_factory.mktemp("home")
    variables = {**server_environment(s3_server), "CONNECTFOUR_CACHE": str(home / "cache")}
    with Cluster(home, tmp_path_factory.mktemp("driver"), variables) as nodes:
        yield nodes


def test_a_run_on_the_drivers_machine(cluster: Cluster) -> None:
    """The trainer stays with its folder; env runners and games are anywhere."""
    trained = cluster.run(
        "train", "--run-dir", "run", *TINY, "-p", "rollout.env_runners=3", "-p", "stop.env_steps=20000"
    )
    assert trained.returncode == 0, trained.stderr
    assert "3 nodes" in trained.stdout
    assert (cluster.folder / "run" / "league" / "manifest.json").is_file()
    ranked = cluster.run("rank", "run", "--matches", 40)
    assert ranked.returncode == 0, ranked.stderr
    assert "3 nodes" in ranked.stdout


def test_a_folder_that_is_not_shared_is_refused(cluster: Cluster) -> None:
    refused = cluster.run("train", "--run-dir", "shared", *TINY, "-p", "storage=shared")
    assert refused.returncode == 17
    assert "storage = shared, but node " in refused.stderr
    assert f"mount {cluster.folder / 'shared'} on every node" in refused.stderr
    assert not (cluster.folder / "shared" / "config.yaml").exists()


def test_a_trainer_on_another_node(cluster: Cluster) -> None:
    """With the run in an object store, Ape-X learns on a worker and resumes on the other."""
    place = "s3://cluster/runs/apex"
    for number, steps in ((1, 4000), (2, 8000)):
        where = ("-p", f"resources.trainer.tags={{w{number}: 1}}", "-p", f"stop.env_steps={steps}")
        start = ("--run-dir", place, *TINY_APEX) if number == 1 else ("--resume", place)
        done = cluster.run("train", *start, *where)
        assert done.returncode == 0, done.stderr
    assert "Resuming s3://cluster/runs/apex" in done.stdout
    assert done.stdout.count("Traceback") == 0


def test_steps_on_other_nodes(cluster: Cluster) -> None:
    """An experiment in an object store: trainings run where the driver's folder is not."""
    (cluster.folder / "quick.yaml").write_text(EXPERIMENT)
    done = cluster.run("experiment", "run", "quick.yaml", "--output", "s3://cluster/quick")
    assert done.returncode == 0, done.stderr + done.stdout
    again = cluster.run("experiment", "run", "quick.yaml", "--output", "s3://cluster/quick")
    assert "steps are up to date" in again.stdout


def test_a_worker_leaves_and_another_joins(cluster: Cluster) -> None:
    """Training goes on with the env runners that are left, and with those that find a new node."""
    progress = cluster.folder / "moving" / "progress.csv"
    leaving = cluster.worker(3)
    leaving.wait()
    result: list[Finished] = []
    arguments = ("train", "--run-dir", "moving", *TINY, "-p", "rollout.env_runners=1", "-p", "stop.minutes=1.2")
    placed = ("-p", "resources.env_runners.tags={w3: 1}")
    training = threading.Thread(target=lambda: result.append(cluster.run(*arguments, *placed)))
    training.start()
    joined = None
    try:
        _wait_for_rows(progress, 3, training)
        leaving.end()
        joined = cluster.worker(3)
        joined.wait()
        rows = _rows(progress)
        _wait_for_rows(progress, rows + 3, training)
    finally:
        training.join()
        if joined:
            joined.end()
    assert result[0].returncode == 0, result[0].stderr
    assert "env runner 1 died" in result[0].stdout


def _rows(file: Path) -> int:
    return len(file.read_text().splitlines()) if file.exists() else 0


def _wait_for_rows(file: Path, count: int, training: threading.Thread) -> None:
    while _rows(file) < count:
        assert training.is_alive()
        training.join(0.5)
