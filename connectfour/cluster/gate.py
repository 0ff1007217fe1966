"""What stands between this process and a cluster: does one answer, does it demand a token, is this machine part of it?

Ray asks none of this in advance. It retries for 20 to 30 seconds and says no more than that it could not connect. Here
the head is asked directly, which takes milliseconds, with a deadline on the only step that can hang.
"""

from __future__ import annotations

import json
import os
import platform
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import ray
from ray._private import services
from ray._raylet import AuthenticationTokenLoader, Config, GcsClient  # type: ignore[attr-defined]  # its stubs lack them
from ray.exceptions import AuthenticationError, RayError

from connectfour.errors import ClusterError

AUTH_MODE = "RAY_AUTH_MODE"

_SECONDS = 4.0
_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5)
_LENGTH_OF_A_HEADER, _SETTINGS = 9, 4


def check_cluster(address: str) -> None:
    """Check that ``ray.init(address)`` will work, and set ``RAY_AUTH_MODE`` to what the cluster demands.

    A token is sent only to a cluster that demands one, because a process that uses a token refuses the answers of
    workers that use none. It is the one that Ray would find: ``RAY_AUTH_TOKEN``, the file ``RAY_AUTH_TOKEN_PATH``, or
    ``~/.ray/auth_token``.

    Args:
        address: as for ``ray.init``.

    Raises:
        ClusterError: there is no cluster; its token is missing here or another one; it runs another Ray or Python; or
            this machine is not one of its nodes.
    """
    head = _head(address)
    if not _answers(head):
        raise no_cluster(address)
    if address.startswith("ray://"):  # a server of Ray's own, which connects for us
        return
    try:
        client = _admitted(address, head)
        _check_versions(address, client)
        _check_membership(address, head, client)
    except RayError:
        raise no_cluster(address) from None


def no_cluster(address: str) -> ClusterError:
    """Return the error that says that no cluster answers."""
    return ClusterError(
        f"no Ray cluster answers at {address!r}: start one with ray start --head, or leave out the address"
    )


def set_auth_mode(mode: str | None) -> None:
    """Set ``RAY_AUTH_MODE``, or unset it, for Ray in this process and for the processes that it starts."""
    if mode is None:
        os.environ.pop(AUTH_MODE, None)
    else:
        os.environ[AUTH_MODE] = mode
    Config.initialize("")  # Ray has read the variable once; it reads it again
    AuthenticationTokenLoader.instance().reset_cache()


def _head(address: str) -> str:
    """Return ``HOST:PORT`` of the head of a cluster."""
    try:
        if address.startswith("ray://"):
            return address.removeprefix("ray://")
        head: str | None = services.canonicalize_bootstrap_address(address)
    except (ValueError, OSError):
        head = None
    if head is None:
        raise no_cluster(address)
    return head


def _answers(head: str) -> bool:
    """Return whether something at ``head`` speaks HTTP/2, as Ray's servers do; with TLS, whether anything is there."""
    host, _, port = head.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=_SECONDS) as connection:
            if os.environ.get("RAY_USE_TLS", "0").lower() in {"1", "true"}:
                return True
            connection.settimeout(_SECONDS)
            connection.sendall(_HELLO)
            answer = connection.recv(_LENGTH_OF_A_HEADER)
    except (OSError, ValueError, OverflowError):
        return False
    return len(answer) == _LENGTH_OF_A_HEADER and answer[3] == _SETTINGS


def _admitted(address: str, head: str) -> Any:
    """Return a client of the head that has been let in, with a token if it has to be."""
    wanted = os.environ.get(AUTH_MODE, "").lower()
    set_auth_mode("disabled")
    try:
        client = _client(head)
    except AuthenticationError:
        if wanted == "disabled":
            raise ClusterError(
                f"the Ray cluster at {address!r} demands a token and {AUTH_MODE}=disabled keeps this command "
                f"from sending one: unset {AUTH_MODE}"
            ) from None
        return _admitted_with_token(address, head)
    if wanted == "token":
        raise ClusterError(
            f"the Ray cluster at {address!r} uses no tokens and {AUTH_MODE}=token makes this command refuse "
            f"its answers: unset {AUTH_MODE}, or start the cluster with {AUTH_MODE}=token"
        )
    return client


def _admitted_with_token(address: str, head: str) -> Any:
    set_auth_mode("token")
    source = _source_of_token()
    found = False
    with suppress(RayError, RuntimeError):
        found = AuthenticationTokenLoader.instance().has_token(ignore_auth_mode=True)
    if not found:
        raise ClusterError(
            f"the Ray cluster at {address!r} demands a token and {source} holds none: copy ~/.ray/auth_token from its "
            "head, or set RAY_AUTH_TOKEN"
        )
    try:
        return _client(head)
    except AuthenticationError:
        raise ClusterError(
            f"the Ray cluster at {address!r} rejects the token in {source}: use the one that its head was started with "
            "(ray get-auth-token prints it there)"
        ) from None


def _client(head: str) -> Any:
    """Return a client of the head, or raise AuthenticationError within milliseconds."""
    with _quiet_native_code():
        return GcsClient(address=head)


@contextmanager
def _quiet_native_code() -> Iterator[None]:
    """Keep Ray's C++ code from logging what the error says that follows."""
    sys.stderr.flush()
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)


def _source_of_token() -> str:
    """Return where Ray looks for a token: the first of these that is set."""
    if os.environ.get("RAY_AUTH_TOKEN"):
        return "RAY_AUTH_TOKEN"
    path = os.environ.get("RAY_AUTH_TOKEN_PATH")
    return f"the file {path} (RAY_AUTH_TOKEN_PATH)" if path else "~/.ray/auth_token"


def _check_versions(address: str, client: Any) -> None:
    """Compare Ray and Python with those of the head; Ray itself refuses nodes and drivers that differ.

    Raises:
        ClusterError: they differ.
    """
    said = client.internal_kv_get(b"CLUSTER_METADATA", namespace=b"cluster", timeout=_SECONDS)
    if not said:
        return
    head = json.loads(said)
    exact = os.environ.get("RAY_DEFAULT_PYTHON_VERSION_MATCH_LEVEL", "patch") == "patch"
    parts = 3 if exact else 2
    for name, here, there in (
        ("Ray", ray.__version__, head.get("ray_version")),
        ("Python", platform.python_version(), head.get("python_version")),
    ):
        length = parts if name == "Python" else None
        if there and here.split(".")[:length] != there.split(".")[:length]:
            raise ClusterError(
                f"the head of the Ray cluster at {address!r} runs {name} {there} and this machine {name} {here}: "
                "install the same version on both"
            )


def _check_membership(address: str, head: str, client: Any) -> None:
    """Check that a node of the cluster runs on this machine, as Ray demands of every driver.

    Raises:
        ClusterError: there is none; Ray would look for it for 20 seconds.
    """
    here = set(services.find_node_ids())
    nodes = client.get_all_node_info(timeout=_SECONDS)
    alive = {node_id.hex(): node.node_manager_address for node_id, node in nodes.items() if node.state == 0}
    if not here & alive.keys():
        raise ClusterError(
            f"this machine is not a node of the Ray cluster at {address!r}: run ray start --address={head} here, or "
            f"run the command on a node ({', '.join(sorted(set(alive.values()))) or 'it has none'})"
        )
