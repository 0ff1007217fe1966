"""Ray for as long as a command runs: one machine on loopback, or the cluster that ``RAY_ADDRESS`` names.

Importing this module, before Ray is imported, sets how Ray runs on one machine; what the environment says already
stands.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

# Ray starts its processes at nice 15; on a machine that does anything else training would starve.
os.environ.setdefault("RAY_worker_niceness", "0")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
# Tune prints its own summaries and catches Ctrl-C; the league does both itself.
os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
os.environ.setdefault("TUNE_DISABLE_SIGINT_HANDLER", "1")
# A lost worker is counted and told by whoever lost it, in one line.
os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", "A worker died or was killed while executing")
if "RAY_ADDRESS" not in os.environ:
    # Without this Ray opens its ports on every interface, whatever address it is given. The name speaks of other
    # systems, for which it is the default.
    os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")

import ray

from connectfour.errors import ClusterError


def silence() -> None:
    """Let Ray and RLlib log errors only."""
    logging.getLogger("ray").setLevel(logging.ERROR)
    logging.getLogger("ray.rllib").setLevel(logging.ERROR)


@contextmanager
def ray_session(cpus: int) -> Iterator[None]:
    """Use the running Ray, or for as long as the context lasts connect to the cluster or start one of ``cpus``.

    Raises:
        ClusterError: there is no cluster at ``RAY_ADDRESS``.
    """
    if ray.is_initialized():
        yield
        return
    silence()
    if "RAY_ADDRESS" in os.environ:
        _connect(os.environ["RAY_ADDRESS"])
    else:
        ray.init(
            num_cpus=max(
                cpus, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
            ),
            include_dashboard=False,
            logging_level=logging.ERROR,
            log_to_driver=False,
        )
    try:
        yield
    finally:
        ray.shutdown()


def _usable_cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _connect(address: str) -> None:
    host, _, port = address.rpartition("/")[2].rpartition(":")
    try:
        if host and port.isdecimal():  # Ray itself tries for minutes
            socket.create_connection((host, int(port)), timeout=10).close()
        ray.init(logging_level=logging.ERROR, log_to_driver=False)
    except (OSError, ValueError, RuntimeError, OverflowError):
        raise ClusterError(
            f"no Ray cluster answers at {address!r}: start one with ray start --head, or leave out the address"
        ) from None


def cluster_size() -> tuple[int, float]:
    """Return how many nodes there are, and how many cores they have together."""
    return sum(node["Alive"] for node in ray.nodes()), float(ray.cluster_resources().get("CPU", 0))
