"""Which clusters let this process in: with and without tokens, on two real ones."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.clusters import RayNode, environment, started
from tests.commands import command

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def token() -> str:
    return secrets.token_hex(16)


@pytest.fixture(scope="module")
def clusters(token: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The addresses of a cluster without tokens and of one that demands a token."""
    home = tmp_path_factory.mktemp("home")
    opened = RayNode(env=environment(home, {"RAY_AUTH_MODE": "disabled"}))
    closed = RayNode(env=environment(home, {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token}))
    with started(opened, closed):
        yield opened.address, closed.address


@pytest.fixture(scope="module")
def answers(clusters: tuple[str, str], token: str, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """What the gate says under many conditions, by name."""
    folder = tmp_path_factory.mktemp("gate")
    done = subprocess.run(
        [sys.executable, "-m", "tests.gate_checks", *clusters, token, str(folder)],
        check=False,
        capture_output=True,
        text=True,
        env=environment(folder / "home"),
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    said: dict[str, str] = json.loads(done.stdout)
    return said


@pytest.mark.parametrize("source", ["variable", "file", "home"])
def test_the_token_that_ray_would_find_is_sent_where_it_is_demanded(answers: Mapping[str, str], source: str) -> None:
    """With RAY_AUTH_MODE unset, too."""
    assert answers[source] == "token"


@pytest.mark.parametrize("case", ["open", "open, token at home"])
def test_no_token_is_sent_where_none_is_demanded(answers: Mapping[str, str], case: str) -> None:
    """A process that uses a token would refuse the answers of workers that use none, and wait for ever."""
    assert answers[case] == "disabled"


@pytest.mark.parametrize(
    ("case", "sentence"),
    [
        ("missing", "demands a token and ~/.ray/auth_token holds none: copy ~/.ray/auth_token from its head, or set"),
        ("missing file", "nothing (RAY_AUTH_TOKEN_PATH) holds none"),
        (
            "wrong",
            "rejects the token in RAY_AUTH_TOKEN: use the one that its head was started with (ray",
        ),
        ("wrong at home", "rejects the token in ~/.ray/auth_token: use the one"),
        ("disabled", "demands a token and RAY_AUTH_MODE=disabled keeps this command from sending one: unset"),
        ("open, token mode", "uses no tokens and RAY_AUTH_MODE=token makes this command refuse its answers: unset"),
        ("version", "and this machine Ray 2.0.0: install the same version on both"),
        ("no node", "this machine is not a node of the Ray cluster at"),
        ("silent", "no Ray cluster answers at '127.0.0.1:"),
        ("127.0.0.1:1", "no Ray cluster answers at '127.0.0.1:1': start one with ray start --head, or leave out"),
        ("127.0.0.1:99999", "no Ray cluster answers at '127.0.0.1:99999'"),
        ("nonsense", "no Ray cluster answers at 'nonsense'"),
        ("ray://127.0.0.1:1", "no Ray cluster answers at 'ray://127.0.0.1:1'"),
    ],
)
def test_what_stands_in_the_way_is_said(answers: Mapping[str, str], token: str, case: str, sentence: str) -> None:
    """In one sentence, which says what to do, and does not give the token away."""
    assert sentence in answers[case]
    assert "\n" not in answers[case]
    assert token not in answers[case]


def test_a_refusal_leaves_the_environment_as_it_was(answers: Mapping[str, str]) -> None:
    """The next session of the process may be on another cluster."""
    assert answers["left"] == "unset"


def test_a_command_says_that_its_token_is_rejected(clusters: tuple[str, str], tmp_path: Path) -> None:
    """On one line, and nothing is written."""
    arguments = ("train", "--address", clusters[1], "--run-dir", tmp_path / "run")
    done = subprocess.run(
        command(*arguments),
        check=False,
        capture_output=True,
        text=True,
        env=environment(tmp_path, {"RAY_AUTH_TOKEN": "wrong"}),
        timeout=100,
    )
    assert (done.returncode, done.stdout) == (10, "")
    assert done.stderr.startswith(
        f"connectfour: the Ray cluster at '{clusters[1]}' rejects the token in RAY_AUTH_TOKEN"
    )
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "run" / "config.yaml").exists()


@pytest.mark.parametrize("number", [0, 1], ids=["open", "token"])
def test_ranking_and_training_work_with_the_token_found(
    clusters: tuple[str, str], token: str, tmp_path: Path, number: int
) -> None:
    """A token at home is used on the cluster that demands it, and does not disturb the one that uses none."""
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text(token)
    address = ("--address", clusters[number])
    tiny = ("-p", "network.width=32", "-p", "rollout.env_runners=0", "-p", "stop.minutes=0.02")
    for arguments in (
        ("rank", "heuristic:random", "heuristic:linear", "--matches", "4", "--output", tmp_path / "ranked"),
        ("train", "--run-dir", tmp_path / "run", *tiny),
    ):
        done = subprocess.run(
            command(*arguments, *address),
            check=False,
            capture_output=True,
            text=True,
            env=environment(tmp_path),
            timeout=200,
        )
        assert done.returncode == 0, done.stderr
