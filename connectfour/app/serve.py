"""Serves a bundle: a web server that reads, computes and answers, and takes nothing else."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
# Gradio asks matplotlib for its backend at every event; undecided, it would load all of it and write a cache of fonts.
os.environ.setdefault("MPLBACKEND", "agg")

from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from connectfour.app.bundle import Bundle
from connectfour.app.page import HEAD, THEME, build_page
from connectfour.errors import ServerError
from connectfour.interrupt import stop_signals

_FILES = {"/", "/config", "/theme.css", "/favicon.ico", "/manifest.json", "/robots.txt", "/gradio_api/startup-events"}
_ALLOWED = {"GET": _FILES, "HEAD": {"/"}, "POST": {"/gradio_api/run/predict"}}
_ALLOWED_BELOW = {"GET": ("/assets/", "/static/", "/gradio_api/heartbeat/")}
_SECONDS_BETWEEN_LOOKS = 1.0
_LONGEST_REQUEST = 64 * 1024


class OnlyTheGame:
    """Lets through what the page needs: Gradio also takes uploads, serves files and fetches for others."""

    def __init__(self, app: ASGIApp) -> None:
        """Stand before ``app``."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 404 to any other request, and 413 to one that is too long; close any other connection."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close"})
            return
        if scope["type"] == "http":
            method, path, headers = scope["method"], scope["path"], dict(scope["headers"])
            if path not in _ALLOWED.get(method, ()) and not path.startswith(_ALLOWED_BELOW.get(method, ())):
                await PlainTextResponse("not found", 404)(scope, receive, send)
                return
            if int(headers.get(b"content-length", b"0")) > _LONGEST_REQUEST or b"transfer-encoding" in headers:
                await PlainTextResponse("too long", 413)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def serve(bundle: Path, host: str, port: int, announce: Callable[[str], None]) -> None:
    """Serve ``bundle`` until Ctrl-C.

    Args:
        bundle: a folder, as ``connectfour.export.bundle`` writes it.
        host: interface to listen on; 127.0.0.1 for this machine only.
        port: of the server.
        announce: told the address once the page answers.

    Raises:
        PlayerError, RankingError: there is no such bundle, or it is damaged.
        ServerError: host or port cannot be used.
    """
    page = build_page(Bundle(bundle))
    check_free(host, port)
    # Nothing here waits in Gradio's queue, which would look for work a thousand times a second.
    page._queue.sleep_when_free = page._queue.progress_update_sleep_when_free = _SECONDS_BETWEEN_LOOKS  # noqa: SLF001
    _, address, _ = page.launch(
        server_name=host,
        server_port=port,
        share=False,
        quiet=True,
        prevent_thread_lock=True,
        theme=THEME,
        head=HEAD,
        footer_links=[],
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        enable_monitoring=False,
        app_kwargs={"middleware": [Middleware(OnlyTheGame)]},
    )
    announce(address)
    stopped = threading.Event()
    with stop_signals(stopped.set, "Stopping"):
        stopped.wait()
    page.close(verbose=False)


def check_free(host: str, port: int) -> None:
    """See that a server can listen there, for Gradio tells late and of other things.

    Raises:
        ServerError: it cannot.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        reason = (error.strerror or "it cannot be used").lower()
        raise ServerError(f"{host}:{port} cannot be served from ({reason}): choose another port or host") from None
