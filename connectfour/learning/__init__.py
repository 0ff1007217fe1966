"""The league inside RLlib's new API stack.

Importing this room, before Ray is imported, sets how Ray runs on one machine; what the environment says already stands.
"""

import ctypes
import os

# Ray starts its processes at nice 15; on a machine that does anything else training would starve.
os.environ.setdefault("RAY_worker_niceness", "0")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
# Tune prints its own summaries and catches Ctrl-C; the league does both itself.
os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
os.environ.setdefault("TUNE_DISABLE_SIGINT_HANDLER", "1")
if "RAY_ADDRESS" not in os.environ:
    # Without this Ray opens its ports on every interface, whatever address it is given. The name speaks of other
    # systems, for which it is the default.
    os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")

# glibc hands a freed array of some hundred kilobytes back to the system at once, and gets the next one page by page:
# with minibatches of that size it costs a tenth of the learning and a fifth of the sampling. The options are mallopt's
# M_MMAP_THRESHOLD, with the largest value that it takes, M_TRIM_THRESHOLD and M_TOP_PAD.
_mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
if _mallopt and _mallopt(-3, 1 << 25):
    _mallopt(-1, 1 << 30)
    _mallopt(-2, 1 << 26)
