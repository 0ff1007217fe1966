"""A check that ``callbacks`` and ``heuristics`` are ours: a user's file of the same name would shadow them."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

from connectfour.errors import HiddenPackageError

_HOME = Path(__file__).resolve().parents[2]
_OURS = ("callbacks", "heuristics")
_UNPACKED = "_ray_pkg_"


def check_packages() -> None:
    """Check that Python finds this project's own ``callbacks`` and ``heuristics``.

    Raises:
        HiddenPackageError: something else of that name comes first on the path; the message names it.
    """
    for name in _OURS:
        if name in sys.modules and sys.modules[name].__spec__ is None:
            continue
        spec = find_spec(name)
        origin = Path(spec.origin).resolve() if spec and spec.origin else None
        if origin is None or not _is_ours(origin, name):
            raise HiddenPackageError(
                f"{origin or name} shadows this project's package {name}: rename it, or run from another folder"
            )


def _is_ours(origin: Path, name: str) -> bool:
    """Return whether a file is the package ``name`` that came with this module."""
    if origin == _HOME / name / "__init__.py":
        return True
    # On a node of a cluster, Ray unpacks each package in a folder of its own, next to the others.
    folder = origin.parents[1]
    return _HOME.name.startswith(_UNPACKED) and folder.name.startswith(_UNPACKED) and folder.parent == _HOME.parent
