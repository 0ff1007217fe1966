"""The C library's allocator: freed memory is kept for the next minibatch instead of being returned to the system."""

from __future__ import annotations

import ctypes
import os

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3
_LARGEST_MMAP_THRESHOLD = 1 << 25


def keep_freed_memory() -> None:
    """Let glibc keep freed arrays of a few hundred kilobytes, the size of a minibatch, for the next one.

    By default it returns them to the system immediately and gets the next ones page by page. Without glibc, no-op.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt and mallopt(_M_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD):
        mallopt(_M_TRIM_THRESHOLD, 1 << 30)
        mallopt(_M_TOP_PAD, 1 << 26)
