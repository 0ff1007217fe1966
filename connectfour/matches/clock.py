"""A chess clock in memory that two processes share: whose code is running, and how much time each has used.

One process at a time writes. The other may read at any moment, even if the writer has just died in the middle of a
write: a new state is written beside the last one, and then a counter is raised that says which of the two is valid.
"""

from __future__ import annotations

import mmap
import struct
import time
from collections.abc import Callable
from typing import NamedTuple

RULES = 2
"""The account of everything that is no player's code; 0 and 1 are the two players of a batch."""

_COUNTER = struct.Struct("@q")  # native, so that it is written in one piece
_STATE = struct.Struct("@qd3d")

CLOCK_BYTES = _COUNTER.size + 2 * _STATE.size
"""Size of a clock's memory."""


class Reading(NamedTuple):
    """What a clock shows.

    Attributes:
        running: the account whose code is running.
        used: seconds used by each account since the clock was restarted.
    """

    running: int
    used: tuple[float, float, float]


class Clock:
    """The clock of a batch, as either process sees it."""

    def __init__(self, memory: mmap.mmap | bytearray, now: Callable[[], float] = time.monotonic) -> None:
        """Use ``memory`` of ``CLOCK_BYTES``; ``now`` has to be the same clock in both processes."""
        self._memory, self._now = memory, now

    def restart(self) -> None:
        """Set all accounts to 0 and start that of the rules."""
        self._write(RULES, self._now(), (0.0, 0.0, 0.0))

    def switch(self, account: int) -> None:
        """Stop the account that is running, and start another."""
        now = self._now()
        self._write(account, now, self._at(now).used)

    def read(self) -> Reading:
        """Return what the clock shows now."""
        return self._at(self._now())

    def _at(self, now: float) -> Reading:
        running, since, *used = self._state()
        used[running] += max(0.0, now - since)
        return Reading(running, (used[0], used[1], used[2]))

    def _state(self) -> tuple[int, float, float, float, float]:
        """Return the account that is running, since when, and the seconds of each account up to then."""
        while True:
            counter = self._counter
            state: tuple[int, float, float, float, float] = _STATE.unpack_from(self._memory, _offset(counter))
            if self._counter == counter:
                return state

    def _write(self, running: int, since: float, used: tuple[float, float, float]) -> None:
        counter = self._counter + 1
        _STATE.pack_into(self._memory, _offset(counter), running, since, *used)
        _COUNTER.pack_into(self._memory, 0, counter)

    @property
    def _counter(self) -> int:
        counter: int = _COUNTER.unpack_from(self._memory)[0]
        return counter


def _offset(counter: int) -> int:
    return _COUNTER.size + counter % 2 * _STATE.size
