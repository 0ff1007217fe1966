"""A second node that does not fit, that gets the code, and whose processes die: real clusters of two nodes."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectfour.version import __version__
from tests.clusters import RayNode, environment, started
from tests.commands import command

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).resolve().parent.parent

OTHER_TORCH = """
import importlib.metadata
found = importlib.metadata.version
importlib.metadata.version = lambda name: "2.0.1+cu118" if name == "torch" else found(name)
"""
HIDES_THE_PROJECT = """
import sys
class Hides:
    def find_spec(name, path=None, target=None):
        if name == "connectfour":
            raise ModuleNotFoundError("it is hidden here", name=name)
sys.meta_path.insert(0, Hides)
"""
HAS_AN_OLD_COPY = """
import sys
sys.path.insert(0, {copy!r})
import connectfour
import callbacks, heuristics
"""

SENDS_A_MODULE = """
import sys
from pathlib import Path
import ray
import my_rules
from connectfour.cluster.session import ray_session

with ray_session(sys.argv[1]):
    Path("my_rules.py").rename("gone")
    where = ray.remote(resources={"second": 1})(my_rules.describe).remote()
    print(ray.get(where, timeout=100))
"""
MY_RULES = """
def describe():
    import my_rules
    return f"size 3, {'_ray_pkg_' in my_rules.__file__}"
"""

DIES_THERE = """
import os, signal, sys
import ray
from connectfour.cluster.session import ray_session
from connectfour.cluster.traces import describe, obituary

class Mortal:
    def die(self):
        print("the disk is full", file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    def fail(self):
        raise ValueError("no such column")

def told(answer):
    try:
        ray.get(answer, timeout=100)
    except ray.exceptions.RayError as error:
        return describe(error)

with ray_session(sys.argv[1]):
    mortal = ray.remote(num_cpus=0, resources={"second": 1})(Mortal).remote()
    print(told(mortal.fail.remote()))
    print(told(mortal.die.remote()))
    print("shard 1 died" + obituary(mortal))
"""


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a head."""
    head = RayNode(env=environment(tmp_path_factory.mktemp("home"), {"RAY_AUTH_MODE": "disabled"}))
    with started(head):
        yield head.address


def second(head: str, home: Path, site: str = "") -> RayNode:
    """Start a second node, with ``site`` for Python to run at the start of each of its processes."""
    folder = home / "site"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(site)
    variables = {"RAY_AUTH_MODE": "disabled", "PYTHONPATH": str(folder)}
    return RayNode("--resources", '{"second": 1}', env=environment(home, variables), head=head)


def old_copy(folder: Path) -> str:
    """Return a program that loads a copy of the project with another version."""
    for name in ("callbacks", "connectfour", "heuristics"):
        shutil.copytree(ROOT / name, folder / name)
    (folder / "connectfour" / "version.py").write_text('__version__ = "0.0.1"\n')
    return HAS_AN_OLD_COPY.format(copy=str(folder))


@pytest.mark.parametrize(
    ("case", "sentence"),
    [
        ("torch", " has Torch 2.0.1+cu118 and this machine 2."),
        (
            "hidden",
            " cannot import this project, which was sent to it (ModuleNotFoundError: it is hidden here): remove",
        ),
        ("old", f" runs connectfour 0.0.1 and this machine {__version__}: remove the copy there that hides what was"),
    ],
)
def test_a_node_that_does_not_fit_is_refused(head: str, tmp_path: Path, case: str, sentence: str) -> None:
    """Before anything begins, with its name."""
    site = {"torch": OTHER_TORCH, "hidden": HIDES_THE_PROJECT}.get(case) or old_copy(tmp_path / "old")
    with started(second(head, tmp_path, site)):
        players = ("heuristic:random", "heuristic:linear", "--output", tmp_path / "ranked")
        done = subprocess.run(
            command("rank", *players, "--address", head),
            check=False,
            capture_output=True,
            text=True,
            env=environment(tmp_path),
            timeout=200,
        )
    assert done.returncode == 10, done.stderr
    assert done.stderr.startswith("connectfour: node ")
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1


def run(program: str, head: str, folder: Path) -> list[str]:
    """Run a program, and return the lines that it prints."""
    (folder / "program.py").write_text(program)
    done = subprocess.run(
        [sys.executable, "program.py", head],
        check=False,
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment(folder, {"PYTHONPATH": str(ROOT)}),
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_users_module_reaches_a_node_that_does_not_see_its_folder(head: str, tmp_path: Path) -> None:
    """It has been sent before it is renamed here."""
    (tmp_path / "my_rules.py").write_text(MY_RULES)
    with started(second(head, tmp_path)):
        assert run(SENDS_A_MODULE, head, tmp_path) == ["size 3, True"]


def test_what_a_process_on_another_node_said_last_is_told(head: str, tmp_path: Path) -> None:
    """Its error or its last lines, and the node; both nodes have the address of this machine."""
    with started(second(head, tmp_path)):
        failed, died, shard = run(DIES_THERE, head, tmp_path)
    assert failed.startswith("ValueError: no such column on node ")
    assert died.startswith("its process died on node ")
    assert died.endswith("; its log ends: the disk is full")
    assert shard.startswith("shard 1 died on node ")
    assert shard.endswith("); its log ends: the disk is full")
