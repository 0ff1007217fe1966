"""Programs of Debian that tests use."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence

import pytest


def program_of(package: str, purpose: str, names: Sequence[str] = ()) -> str:
    """Return the path of a program, installing its package as root if it is missing; skip the test without it.

    Args:
        package: Debian's package.
        purpose: what it is needed for, such as "run the browser tests".
        names: what the program may be called; by default, like the package.
    """
    names = names or [package]
    found = _find(names)
    install = shutil.which("apt-get")
    if not found and install and os.geteuid() == 0:
        for step in (["update"], ["install", "--yes", "--no-install-recommends", package]):
            subprocess.run([install, *step], check=False, capture_output=True)
        found = _find(names)
    return found or pytest.skip(f"{package} is not installed: install Debian's package {package} to {purpose}")


def _find(names: Sequence[str]) -> str | None:
    return next(filter(None, map(shutil.which, names)), None)
