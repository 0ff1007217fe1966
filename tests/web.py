"""The web app as a real process, and a real browser to visit it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.debian import program_of

_PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


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
    """Run a server in ``folder``, which is also its home and its folder for temporary files.

    Yields its address and process id once it answers. Only ``forged`` requests may make it log a traceback: Gradio logs
    one for a choice that is not in its list.
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
    address = ""
    for line in server.stdout or []:
        printed.append(line)
        if found := re.search(r"http://\S+", line):
            address = found[0]
            break
    # The server would block on a full pipe.
    reader = threading.Thread(target=lambda: printed.extend(server.stdout or []))
    reader.start()
    try:
        assert address, "".join(printed)
        yield address, server.pid
    finally:
        server.send_signal(signal.SIGINT)
        try:
            code = server.wait(timeout=30)
        finally:
            server.kill()
            reader.join()
    assert code == 0, "".join(printed)
    assert forged or "Traceback" not in "".join(printed), "".join(printed)


class Visitor:
    """Sends what a browser sends."""

    def __init__(self, address: str) -> None:
        """Open the page."""
        self.http = httpx.Client(base_url=address, timeout=30)
        self.config = self.http.get("config").json()
        (self._board,) = [each["id"] for each in self.config["components"] if each["props"].get("elem_id") == "board"]

    def ask(self, event: str, kept: object, *settings: object, **details: object) -> httpx.Response:
        """Send an event of the board as a browser does, with any content."""
        (function,) = [
            each["id"] for each in self.config["dependencies"] if event in {name for _, name in each["targets"]}
        ]
        request = {"data": [kept, *settings], "event_data": details, "fn_index": function, "trigger_id": self._board}
        return self.http.post("gradio_api/run/predict", json={**request, "session_hash": "visitor"})

    def view(self, event: str, kept: object, *settings: object, **details: object) -> dict[str, Any]:
        """Return the view in the answer to an event."""
        view: dict[str, Any] = self.ask(event, kept, *settings, **details).json()["data"][0]
        return view


def chromium() -> str:
    """Return the path of Chromium, installing it as root if it is missing; skip the test if that is not possible."""
    return program_of("chromium", "run the browser tests", _PROGRAMS)
