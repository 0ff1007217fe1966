"""The web app as a real process, and a real browser to visit it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

_PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
_NO_BROWSER = "no Chromium here: install Debian's package chromium to run the browser tests"


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def serving(
    command: Sequence[str], folder: Path, *, forged: bool = False, environment: Mapping[str, str] | None = None
) -> Iterator[tuple[str, int]]:
    """Run a server in ``folder``, which is also its home and its place for temporary files.

    Yields its address and process id once it answers. Only requests that were ``forged`` may make it log a traceback:
    Gradio does so itself for a choice that is not in its list.
    """
    home = {"HOME": str(folder), "TMPDIR": str(folder), "GRADIO_TEMP_DIR": str(folder)}
    server = subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, **home, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    printed: list[str] = []
    try:
        address = ""
        for line in server.stdout or []:
            printed.append(line)
            if found := re.search(r"http://\S+", line):
                address = found[0]
                break
        assert address, "".join(printed)
        # Somebody has to read on, or the server would wait for it.
        threading.Thread(target=lambda: printed.extend(server.stdout or []), daemon=True).start()
        yield address, server.pid
    finally:
        server.send_signal(signal.SIGINT)
        assert server.wait(timeout=30) == 0, "".join(printed)
        assert forged or "Traceback" not in "".join(printed), "".join(printed)


def chromium() -> str:
    """Return the path of Chromium, installed where it is missing and we may; else skip the test."""
    found = next(filter(None, map(shutil.which, _PROGRAMS)), None)
    if found:
        return found
    install = shutil.which("apt-get")
    if install and os.geteuid() == 0:
        for step in (["update"], ["install", "--yes", "--no-install-recommends", "chromium"]):
            subprocess.run([install, *step], check=False, capture_output=True)
    return shutil.which("chromium") or pytest.skip(_NO_BROWSER)
