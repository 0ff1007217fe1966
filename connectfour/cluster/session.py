"""Runs Ray for the duration of a command: on this machine over loopback, or on a cluster given by address."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
from ray._private import ray_constants
from ray.exceptions import RayError

from connectfour.cluster.code import code_for_nodes
from connectfour.cluster.dashboard import dashboard_options
from connectfour.cluster.gate import AUTH_MODE, check_cluster, set_auth_mode
from connectfour.cluster.nodes import check_nodes
from connectfour.cluster.traces import one_line
from connectfour.errors import ClusterError, ConnectFourError
from connectfour.system.machine import usable_cores

_RAY = {
    # Ray starts its workers at nice 15; on a machine with any other load, training would starve.
    "RAY_worker_niceness": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
}
_TUNE = {
    # Tune prints its own summaries and catches Ctrl-C; the league does both itself.
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
}


def silence() -> None:
    """Let Ray and RLlib log errors only; the league itself handles Tune's output and Ctrl-C."""
    for name, value in _TUNE.items():
        os.environ.setdefault(name, value)
    logging.getLogger("ray").setLevel(logging.ERROR)
    logging.getLogger("ray.rllib").setLevel(logging.ERROR)


def start_ray(address: str | None = None, *, cpus: int = 1, dashboard: bool = False) -> None:
    """Start Ray on this machine, or connect to a cluster, with the settings that suit the league.

    On this machine Ray listens on loopback only, and its workers run at normal priority. Ray
    settings already in the environment are kept. If Ray is already running in this process, nothing changes.

    Args:
        address: a Ray cluster, as for ``ray.init`` (``"auto"``: the one running on this machine); None starts Ray here.
        cpus: minimum number of logical cores that Ray offers, even if the machine has fewer.
        dashboard: also start Ray's dashboard, and serve metrics at a fixed port; a cluster has its own.

    A cluster gets the token that Ray would find if it demands one, and the code of this project and of the user's own
    modules that are loaded by now; see ``check_cluster``, ``code_for_nodes`` and ``check_nodes``.

    Raises:
        ClusterError: no cluster answers at ``address``, it does not let this process in, or its nodes do not fit.
        ConfigError: the dashboard is not installed.
    """
    if ray.is_initialized():
        return
    for name, value in _RAY.items():
        os.environ.setdefault(name, value)
    silence()
    if address:
        _connect(address)
        return
    _bind_to_loopback()
    try:
        with dashboard_options(wanted=dashboard) as options:
            ray.init(
                address="local",
                num_cpus=max(cpus, usable_cores()),
                logging_level=logging.ERROR,
                log_to_driver=False,
                **options,
            )
    except ConnectFourError:
        raise
    except Exception as error:  # Ray raises a bare Exception if its processes are too slow
        ray.shutdown()
        raise ClusterError(
            f"Ray does not start on this machine, which may have too much to do: {one_line(error)}"
        ) from error


@contextmanager
def without_tracebacks() -> Iterator[None]:
    """Keep Tune from printing the traceback of a trial that fails: whoever called it says what was wrong."""
    logger = logging.getLogger("ray.tune")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextmanager
def ray_session(address: str | None = None, *, cpus: int = 1, dashboard: bool = False) -> Iterator[Path | None]:
    """Use this process's Ray if it is running; otherwise start it, or connect, for as long as the context lasts.

    Yields the folder with the logs and temporary files of a Ray that it started, else None. The folder is removed at
    the end, unless there was an error.

    Arguments and errors are those of ``start_ray``; without ``address``, ``RAY_ADDRESS`` names the cluster. A Ray that
    was started elsewhere may have fewer than ``cpus`` cores; ``Offer.check`` refuses work that needs more.
    """
    starts, mode = not ray.is_initialized(), os.environ.get(AUTH_MODE)
    if starts:
        start_ray(_named(address), cpus=cpus, dashboard=dashboard)
    session = Path(_node().get_session_dir_path()) if starts and not _named(address) else None
    try:
        yield session
    finally:
        if starts:
            _disconnect(mode)
    if session:
        shutil.rmtree(session, ignore_errors=True)


def _node() -> Any:
    return ray._private.worker._global_node  # noqa: SLF001  # Ray offers no other way to its folder


def runs_here(address: str | None = None) -> bool:
    """Return whether work in ``ray_session(address)`` stays on this machine, as far as can be known in advance."""
    return cluster_size()[0] == 1 if ray.is_initialized() else not _named(address)


def _named(address: str | None) -> str | None:
    return address or os.environ.get("RAY_ADDRESS") or None


def _bind_to_loopback() -> None:
    """Keep Ray from opening its ports on every interface, which it does regardless of its address.

    The option is named after the systems on which loopback is the default. Ray's driver reads it once, at import;
    its other processes read it from the environment.
    """
    os.environ.setdefault(ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR, "0")
    ray_constants.ENABLE_RAY_CLUSTER = os.environ[ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR] not in {"0", "false"}


def _connect(address: str) -> None:
    mode = os.environ.get(AUTH_MODE)
    try:
        check_cluster(address)
        ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False, runtime_env=code_for_nodes())
        check_nodes()
    except ClusterError:
        _disconnect(mode)
        raise
    except (OSError, ValueError, RuntimeError, RayError) as error:
        _disconnect(mode)
        raise ClusterError(f"cannot connect to the Ray cluster at {address!r}: {one_line(error)}") from error


def _disconnect(mode: str | None) -> None:
    """End Ray in this process, and set ``RAY_AUTH_MODE`` to what it was before Ray started."""
    ray.shutdown()
    set_auth_mode(mode)


def cluster_size() -> tuple[int, float]:
    """Return the number of nodes and their total number of cores."""
    return sum(node["Alive"] for node in ray.nodes()), float(ray.cluster_resources().get("CPU", 0))
