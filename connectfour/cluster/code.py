"""The code that a cluster's nodes need: this project's packages, and the user's own modules.

The nodes always run the driver's code, also where another copy is installed: an edited checkout behaves there as it
does here, and a node needs only the libraries that it imports. Ray keeps what it unpacked under the hash of its
contents, so the next command that sends the same code uploads nothing.
"""

from __future__ import annotations

import json
import os
import sys
import sysconfig
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from ray._private.runtime_env.constants import RAY_JOB_CONFIG_JSON_ENV_VAR

from connectfour.errors import ClusterError

PACKAGES = ("callbacks", "connectfour", "heuristics")
"""What this project consists of."""

_MOST_MEGABYTES = 100
_IGNORED = ("__pycache__", "*.pyc")
_INSTALLED = {"site-packages", "dist-packages"}
# What Python loads for itself at its start.
_OF_PYTHON = {"__main__", "sitecustomize", "usercustomize"}


def code_for_nodes() -> dict[str, Any]:
    """Return the ``runtime_env`` that brings the code to the nodes.

    It holds this project's three packages, and every module or package that this process has loaded from anywhere but
    the standard library and ``site-packages``: import your own modules before you connect. Data in a package's folder
    goes along, up to 100 MB. A job that was submitted with ``py_modules`` of its own brings its code itself.

    Raises:
        ClusterError: a package is too large.
    """
    submitted = json.loads(os.environ.get(RAY_JOB_CONFIG_JSON_ENV_VAR) or "{}").get("runtime_env") or {}
    if "py_modules" in submitted:
        return {}
    return {
        "py_modules": [str(path) for path in [*map(_folder, PACKAGES), *_own_modules()]],
        "excludes": list(_IGNORED),
    }


def fingerprint() -> str:
    """Return what tells this project's code from another state of it: a hash of the names and lines of its files."""
    digest = sha256()
    for folder in map(_folder, PACKAGES):
        for file in sorted(folder.rglob("*.py")):
            digest.update(str(file.relative_to(folder.parent)).encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


def _folder(package: str) -> Path:
    """Return the folder of one of this project's packages; on a node, each is unpacked in a place of its own."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"No module named {package!r}", name=package)
    return Path(spec.origin).resolve().parent


def _own_modules() -> list[Path]:
    """Return the files and folders of the user's own top-level modules.

    Raises:
        ClusterError: one is too large.
    """
    found = {_path_of(module) for name, module in list(sys.modules.items()) if "." not in name and _is_own(name)}
    paths = sorted(path for path in found if path and not _is_installed(path))
    for path in paths:
        files = [file for file in path.rglob("*") if file.is_file() and "__pycache__" not in file.parts]
        size = sum(file.stat().st_size for file in files)
        if size > _MOST_MEGABYTES * 1e6:
            raise ClusterError(
                f"the package {path.name} has {size / 1e6:.0f} MB and at most {_MOST_MEGABYTES} MB are sent to the "
                "nodes: move its data out of it, or install it on every node"
            )
    return paths


def _is_own(name: str) -> bool:
    return name not in {*PACKAGES, *_OF_PYTHON, *sys.builtin_module_names}


def _path_of(module: ModuleType) -> Path | None:
    """Return the file of a module, or the folder of a package; None if it has neither."""
    folders, file = getattr(module, "__path__", None), getattr(module, "__file__", None)
    try:
        path = Path(next(iter(folders)) if folders else file or "").resolve()
    except (TypeError, ValueError, OSError, StopIteration):
        return None
    is_code = path.is_dir() if folders else path.suffix == ".py" and path.is_file()
    return path if is_code else None


def _is_installed(path: Path) -> bool:
    """Return whether a path belongs to Python or to an installed library, which each node has for itself."""
    standard = {Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib")}
    return bool(_INSTALLED & set(path.parts)) or any(path.is_relative_to(folder) for folder in standard)
