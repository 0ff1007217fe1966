"""What the gate says of clusters under many conditions, asked in one process of its own: Ray reads them once a process.

python -m tests.gate_checks OPEN CLOSED TOKEN FOLDER
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import patch

import ray
from ray._private import services

from connectfour.cluster import gate
from connectfour.cluster.session import ray_session
from connectfour.errors import ClusterError

NAMES = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")


def ask(address: str, call: Callable[[str], Any] = gate.check_cluster, change: Any = None, **variables: str) -> str:
    """Return the mode that the gate has chosen, or what it has refused."""
    for name in NAMES:
        os.environ.pop(name, None)
    os.environ.update(variables)
    try:
        with change or nullcontext():
            call(address)
    except ClusterError as error:
        return str(error)
    return os.environ["RAY_AUTH_MODE"]


def enter(address: str) -> None:
    with ray_session(address):
        pass


def refused_session(address: str) -> str:
    """Return what is left of ``RAY_AUTH_MODE`` after a session that was refused."""
    ask(address, enter, RAY_AUTH_TOKEN="wrong")  # noqa: S106
    return os.environ.get("RAY_AUTH_MODE", "unset")


def main(opened: str, closed: str, token: str, folder: Path) -> dict[str, str]:
    """Return all answers by name."""
    file, home = folder / "token", folder / "home" / ".ray" / "auth_token"
    file.write_text(token)
    home.parent.mkdir(parents=True)
    answers = {
        "open": ask(opened),
        "open, token mode": ask(opened, RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=token),
        "missing": ask(closed),
        "missing file": ask(closed, RAY_AUTH_TOKEN_PATH=str(folder / "nothing")),
        "wrong": ask(closed, RAY_AUTH_TOKEN="wrong"),  # noqa: S106
        "variable": ask(closed, RAY_AUTH_TOKEN=token),
        "file": ask(closed, RAY_AUTH_TOKEN_PATH=str(file)),
        "disabled": ask(closed, RAY_AUTH_TOKEN=token, RAY_AUTH_MODE="disabled"),
        "left": refused_session(closed),
    }
    home.write_text(token)
    answers["home"] = ask(closed)
    answers["open, token at home"] = ask(opened)
    home.write_text("of another cluster")
    answers["wrong at home"] = ask(closed)
    answers["version"] = ask(opened, change=patch.object(ray, "__version__", "2.0.0"))
    answers["no node"] = ask(opened, change=patch.object(services, "find_node_ids", list))
    with socket.create_server(("127.0.0.1", 0)) as silent, patch.object(gate, "_SECONDS", 0.1):
        answers["silent"] = ask(f"127.0.0.1:{silent.getsockname()[1]}")
    answers |= {name: ask(name) for name in ("127.0.0.1:1", "127.0.0.1:99999", "nonsense", "ray://127.0.0.1:1")}
    return answers


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], sys.argv[2], sys.argv[3], Path(sys.argv[4]))))  # noqa: T201
