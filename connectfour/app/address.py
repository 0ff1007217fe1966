"""The address that the web app listens on. Importing this module does not load Gradio."""

from __future__ import annotations

import socket

from connectfour.errors import ServerError


def check_free(host: str, port: int) -> None:
    """Check that a server can listen on ``host`` and ``port``. Gradio notices late, and its message misleads.

    Raises:
        ServerError: host or port cannot be used.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ServerError(f"cannot listen on {host}:{port} ({reason}): choose another port or host") from None
