"""The command line as a process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_MOST_SECONDS = 240


def command(*arguments: object) -> list[str]:
    """Return the command line of ``connectfour`` with ``arguments``."""
    return [sys.executable, "-m", "connectfour", *map(str, arguments)]


def call(*arguments: object, cwd: Path | None = None, lines: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """Run ``connectfour`` to its end, with ``lines`` typed in."""
    return subprocess.run(
        command(*arguments),
        cwd=cwd,
        input="".join(f"{line}\n" for line in lines),
        capture_output=True,
        text=True,
        check=False,
        timeout=_MOST_SECONDS,
    )
