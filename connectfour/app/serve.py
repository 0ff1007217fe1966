"""Serves a bundle. The server answers the few requests that the page needs, and refuses all others."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
# Gradio asks matplotlib for its backend at every event. Without a fixed one, matplotlib would load completely and write
# a font cache.
os.environ.setdefault("MPLBACKEND", "agg")

from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from connectfour.app.address import check_free
from connectfour.app.bundle import Bundle
from connectfour.app.page import HEAD, THEME, build_page
from connectfour.system.signals import stop_signals

_FILES = {"/", "/config", "/theme.css", "/favicon.ico", "/manifest.json", "/robots.txt", "/gradio_api/startup-events"}
_ALLOWED = {"GET": _FILES, "HEAD": {"/"}, "POST": {"/gradio_api/run/predict"}}
_ALLOWED_BELOW = {"GET": ("/assets/", "/static/", "/gradio_api/heartbeat/")}
_SECONDS_BETWEEN_QUEUE_CHECKS = 1.0
_MAX_REQUEST_BYTES = 64 * 1024


class OnlyTheGame:
    """Lets through only what the page needs. Gradio itself also accepts uploads, serves files and acts as a proxy."""

    def __init__(self, app: ASGIApp) -> None:
        """Guard ``app``."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer other requests with 404, long ones with 413, and close WebSockets."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close"})
            return
        if scope["type"] == "http":
            method, path, headers = scope["method"], scope["path"], dict(scope["headers"])
            if path not in _ALLOWED.get(method, ()) and not path.startswith(_ALLOWED_BELOW.get(method, ())):
                await PlainTextResponse("not found", 404)(scope, receive, send)
                return
            if int(headers.get(b"content-length", b"0")) > _MAX_REQUEST_BYTES or b"transfer-encoding" in headers:
                await PlainTextResponse("too long", 413)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def serve(bundle: Path, host: str, port: int, announce: Callable[[str], None]) -> None:
    """Serve ``bundle`` until Ctrl-C.

    Args:
        bundle: a folder written by ``connectfour.export.bundling``.
        host: interface to listen on; 127.0.0.1 for this machine only.
        port: port to listen on.
        announce: called with the address once the page answers.

    Raises:
        PlayerError, RankingError: the folder is not a bundle, or the bundle is damaged.
        ServerError: host or port cannot be used.
    """
    page = build_page(Bundle(bundle))
    check_free(host, port)
    # This page does not use Gradio's queue, which by default checks for work a thousand times per second.
    page._queue.sleep_when_free = page._queue.progress_update_sleep_when_free = _SECONDS_BETWEEN_QUEUE_CHECKS  # noqa: SLF001
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
