"""Ray for as long as a command runs: one machine on loopback, or the cluster that ``RAY_ADDRESS`` names."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

import ray


def silence() -> None:
    """Let Ray and RLlib log errors only."""
    logging.getLogger("ray").setLevel(logging.ERROR)
    logging.getLogger("ray.rllib").setLevel(logging.ERROR)


@contextmanager
def ray_session(cpus: int) -> Iterator[None]:
    """Use the running Ray, or for as long as the context lasts connect to the cluster or start one of ``cpus``."""
    if ray.is_initialized():
        yield
        return
    silence()
    if "RAY_ADDRESS" in os.environ:
        ray.init(logging_level=logging.ERROR, log_to_driver=False)
    else:
        ray.init(
            num_cpus=max(cpus, os.cpu_count() or 1),
            include_dashboard=False,
            logging_level=logging.ERROR,
            log_to_driver=False,
        )
    try:
        yield
    finally:
        ray.shutdown()
