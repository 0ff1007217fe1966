"""Whether processes of this machine live."""

from __future__ import annotations

import os
from pathlib import Path

_SECONDS_THAT_CLOCKS_DIFFER = 60.0


def is_alive(process: int, *, since: float | None = None) -> bool:
    """Return whether a process lives.

    A process that has ended and waits for its parent to notice does not; where the system does not say more than that
    a process exists, it counts as alive.

    Args:
        process: its number.
        since: a time in seconds since the epoch at which it lived; a process that began later has only got its number.
    """
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    state, began = _state_of(process)
    if state in {"Z", "X"}:
        return False
    return since is None or began is None or began <= since + _SECONDS_THAT_CLOCKS_DIFFER


def _state_of(process: int) -> tuple[str, float | None]:
    """Return the state of a process and when it began, according to Linux (``man 5 proc``); elsewhere nothing."""
    try:
        # The name of the program, in parentheses, may contain anything.
        fields = Path(f"/proc/{process}/stat").read_text(errors="replace").rpartition(")")[2].split()
        booted = next(line for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime "))
        return fields[0], int(booted.split()[1]) + int(fields[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError, StopIteration):
        return "", None
