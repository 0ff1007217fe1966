"""Ray's dashboard and the metrics beside it: what they need, where they listen, and where they are found."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray
from ray._private.utils import get_dashboard_dependency_error

from connectfour.errors import ConfigError

METRICS_PORT = 8080
"""Where a Ray with a dashboard serves its metrics; if it is taken, at the next free one."""
_PORTS = 100
_NODES_NAMED = 4


def require_dashboard() -> None:
    """Check that Ray's dashboard is installed.

    Raises:
        ConfigError: it is not.
    """
    if get_dashboard_dependency_error():
        raise ConfigError("--dashboard needs Ray's dashboard: pip install 'connectfour-league[dashboard]'")


@contextmanager
def dashboard_options(*, wanted: bool) -> Iterator[dict[str, Any]]:
    """Yield the arguments of ``ray.init`` that start a dashboard on loopback, or none; start Ray in the context.

    Raises:
        ConfigError: a dashboard is wanted, and it is not installed or has no free port for its metrics.
    """
    if not wanted:
        with _as_if_not_installed():
            yield {"include_dashboard": False}
        return
    require_dashboard()
    with _claimed_port() as port:
        yield {"include_dashboard": True, "dashboard_host": "127.0.0.1", "_metrics_export_port": port}


@contextmanager
def _as_if_not_installed() -> Iterator[None]:
    """Let Ray start as if its dashboard were not installed.

    Where it is, Ray starts the processes that feed it even if nobody wants it, and takes twice as long to start.
    """
    found = ray._private.utils.get_dashboard_dependency_error  # noqa: SLF001  # Ray offers no other way
    ray._private.utils.get_dashboard_dependency_error = lambda: ImportError("no dashboard is wanted")  # noqa: SLF001
    try:
        yield
    finally:
        ray._private.utils.get_dashboard_dependency_error = found  # noqa: SLF001


@contextmanager
def _claimed_port() -> Iterator[int]:
    """Yield a free port that no other command of ours takes meanwhile.

    Ray does not start if its port for metrics is taken, and it opens the port seconds after it was chosen. Until then,
    a UDP socket of the same number tells other commands to choose another one.
    """
    for port in range(METRICS_PORT, METRICS_PORT + _PORTS):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as claim:
            try:
                claim.bind(("127.0.0.1", port))
                _check_free(port)
            except OSError:
                continue
            yield port
            return
    raise ConfigError(
        f"--dashboard found no free port for metrics from {METRICS_PORT} to {METRICS_PORT + _PORTS - 1}: stop what "
        "listens there"
    )


def _check_free(port: int) -> None:
    """Raise an OSError if something listens at ``port`` on loopback."""
    with socket.socket() as probe:
        # A port that was closed a moment ago is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))


def describe_dashboard() -> str:
    """Return where the dashboard and the metrics of the Ray in use are, as a sentence."""
    node = ray._private.worker._global_node  # noqa: SLF001  # Ray says nowhere else where its dashboard is
    if node and not node.webui_url:
        return "This Ray runs without a dashboard: start it with ray start --head --include-dashboard=true to have one."
    ends = [
        f"http://{each['NodeManagerAddress']}:{each['MetricsExportPort']}/metrics"
        for each in ray.nodes()
        if each["Alive"] and each["MetricsExportPort"] > 0
    ]
    more = f" and {len(ends) - _NODES_NAMED} more" if len(ends) > _NODES_NAMED else ""
    metrics = f", and Prometheus finds metrics at {', '.join(ends[:_NODES_NAMED])}{more}" if ends else ""
    whose = "The dashboard is" if node and node.is_head() else "The cluster has its own dashboard"
    where = f" at http://{node.webui_url}" if node else ""  # a client of Ray has no node
    return f"{whose}{where}{metrics}."
