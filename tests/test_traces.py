"""What the user learns about processes that raise an error or die, on a real Ray."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import Any

import pytest
import ray
from ray.exceptions import RayActorError, RayError, RayTaskError, WorkerCrashedError

from connectfour.cluster.traces import Process, describe, label, obituary, one_line, place_here

pytestmark = pytest.mark.usefixtures("ray_session")


def die(*lines: str) -> None:
    """Print some lines, and die as if the system had ended the process."""
    sys.stderr.write("".join(f"{line}\n" for line in lines))
    sys.stderr.flush()
    os.kill(os.getpid(), signal.SIGKILL)


class Mortal:
    def die(self, *lines: str) -> None:
        die(*lines)

    def fail(self) -> None:
        raise ValueError("the first line\nthe second line")


@pytest.fixture
def mortal() -> Any:
    return ray.remote(num_cpus=0)(Mortal).remote()


def failure_of(answer: Any) -> RayError:
    with pytest.raises(RayError) as caught:
        ray.get(answer, timeout=60)
    return caught.value


def test_a_lost_actor_leaves_its_last_lines(mortal: Any) -> None:
    """Without the marks that Ray writes into logs, and no more than three."""
    error = failure_of(mortal.die.remote("no", "out", "of", "x" * 1000))
    assert isinstance(error, RayActorError)
    assert describe(error) == f"its process died; its log ends: out | of | {'x' * 160}"
    assert obituary(mortal) == f"; its log ends: out | of | {'x' * 160}"


def test_a_lost_task_leaves_its_last_lines() -> None:
    """Ray does not say which process ran it; it is the last of this job that was lost since the task began."""
    since = time.time()
    error = failure_of(ray.remote(num_cpus=0, max_retries=0)(die).remote("the disk is full"))
    assert isinstance(error, WorkerCrashedError)
    assert describe(error, since).endswith("; its log ends: the disk is full")
    assert describe(error) == one_line(error)
    assert Process.lost_since(time.time() + 1000) is None


def test_an_error_is_told_by_its_last_line(mortal: Any) -> None:
    """What was raised far away, without the traceback."""
    error = failure_of(mortal.fail.remote())
    assert isinstance(error, RayTaskError)
    assert describe(error) == "the second line"


def test_several_nodes_are_named(mortal: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one alone, where something happened goes without saying."""
    assert place_here() == ""
    here = ray.nodes()[0]
    address = here["NodeManagerAddress"]
    other = {"NodeID": "12345678abc", "NodeManagerAddress": "10.0.0.9", "Alive": False}
    monkeypatch.setattr(ray, "nodes", lambda: [here, other])
    assert place_here() == f" on node {address}"
    assert describe(failure_of(mortal.fail.remote())) == f"the second line on node {address}"
    assert obituary(mortal) == f" on node {address}"
    assert label(other, [here, other]) == "10.0.0.9"
    assert label(other, [other, {**other, "NodeID": "9"}]) == "10.0.0.9 (12345678)"


def test_an_actor_that_never_ran_has_no_trace() -> None:
    """Nor has one that Ray does not know."""
    assert Process.of_actor("0" * 32) is None
    assert Process.of_actor("no id") is None
