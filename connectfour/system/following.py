"""Shows what another process writes to a log, as it does so."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_SECONDS_PER_LOOK = 0.5


@contextmanager
def following(log: Path, show: Callable[[str], None]) -> Iterator[None]:
    """Call ``show`` with all text that is added to a file while the block runs; there may be no file yet."""
    place = log.stat().st_size if log.exists() else 0
    ended = threading.Event()

    def look() -> None:
        nonlocal place
        if not log.exists():
            return
        with log.open("rb") as stream:
            stream.seek(place)
            added = stream.read()
        place += len(added)
        if added:
            show(added.decode(errors="replace"))

    def watch() -> None:
        while not ended.wait(_SECONDS_PER_LOOK):
            look()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
        look()
