"""The league inside RLlib's new API stack.

Importing this room, before Ray is imported, sets how Ray runs on one machine; what the environment says already stands.
"""

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
