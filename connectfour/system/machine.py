"""What this machine offers to this process."""

from __future__ import annotations

import os

CORES = "CONNECTFOUR_CORES"
"""Environment variable that limits how many cores a command takes for itself, if several share a machine."""


def usable_cores() -> int:
    """Return the number of cores this process may use."""
    limit = os.environ.get(CORES, "")
    if limit.isdecimal() and int(limit):
        return int(limit)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory_bytes() -> int:
    """Return the size of the main memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
