"""The league inside RLlib's new API stack."""

import ctypes
import os

# Before anything here imports Ray itself: it sets how Ray runs.
import connectfour.ray_session  # noqa: F401

# glibc hands a freed array of some hundred kilobytes back to the system at once, and gets the next one page by page:
# minibatches are of that size. The options are mallopt's M_MMAP_THRESHOLD, with the largest value that it takes,
# M_TRIM_THRESHOLD and M_TOP_PAD.
_mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
if _mallopt and _mallopt(-3, 1 << 25):
    _mallopt(-1, 1 << 30)
    _mallopt(-2, 1 << 26)
