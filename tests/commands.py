"""The command line: in this process, which is quick, or as a process of its own."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest

from connectfour.cli import main

_MOST_SECONDS = 240


@dataclass(frozen=True)
class Finished:
    """What a command left behind."""

    returncode: int
    stdout: str
    stderr: str


def call(*arguments: object, cwd: Path | None = None, lines: Sequence[str] = ()) -> Finished:
    """Run ``connectfour`` to its end in this process, with ``lines`` typed in.

    It enters where the console script does. With the fixture ``ray_session``, the command uses the Ray of this process;
    without it, the command starts and stops one.
    """
    printed, errors = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed), redirect_stderr(errors):
        patch.setattr(sys, "argv", ["connectfour", *map(str, arguments)])
        patch.setattr(sys, "stdin", io.StringIO(_typed(lines)))
        patch.setenv("COLUMNS", "80")
        if cwd:
            patch.chdir(cwd)
        with pytest.raises(SystemExit) as ended:
            main()
    code = ended.value.code
    assert code is None or isinstance(code, int)
    return Finished(code or 0, printed.getvalue(), errors.getvalue())


def command(*arguments: object) -> list[str]:
    """Return the command line of ``connectfour`` with ``arguments``."""
    return [sys.executable, "-m", "connectfour", *map(str, arguments)]


def call_process(*arguments: object, cwd: Path | None = None, lines: Sequence[str] = ()) -> Finished:
    """Run ``connectfour`` to its end as a process, with ``lines`` typed in."""
    done = subprocess.run(
        command(*arguments),
        cwd=cwd,
        input=_typed(lines),
        capture_output=True,
        text=True,
        check=False,
        timeout=_MOST_SECONDS,
    )
    return Finished(done.returncode, done.stdout, done.stderr)


def _typed(lines: Sequence[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
