"""Ctrl-C and SIGTERM: the first asks work to stop at a point to resume from, the second stops it at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def stop_signals(interrupt: Callable[[], None], promise: str) -> Iterator[None]:
    """Call ``interrupt`` and print ``promise`` at the first signal; raise KeyboardInterrupt at the next.

    Outside the main thread, which alone receives signals, this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():  # only the main thread receives signals
        yield
        return
    asked = False

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        interrupt()
        # Not through a console: if the signal came while it was printing, it would print that line twice.
        os.write(2, f"\n{promise} (press Ctrl-C again to stop at once) ...\n".encode())

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
