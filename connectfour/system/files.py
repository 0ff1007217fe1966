"""Atomic file writes, and locks that name their owner."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file atomically: even after a power failure, it is never half written."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path with the same suffix in lower case; its file replaces ``path`` if the block succeeds."""
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix.lower()}")
    try:
        yield temporary
        flush(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    flush(path.parent)


def flush(path: Path) -> None:
    """Flush a file, or a folder's entries, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(file: Path, refusal: Callable[[str], Exception], *, seconds: float = 0.0) -> Iterator[None]:
    """Hold the lock ``file``, or raise ``refusal(owner)`` if another process, ``owner``, still holds it after a while.

    The lock ends with the process, however it ends.

    Args:
        file: the lock; its folder exists.
        refusal: returns the error to raise; ``owner`` is, for example, "process 4711 on host a1".
        seconds: how long to wait for the lock.
    """
    lock, note = FileLock(file), file.with_name(f"{file.name}.owner")
    try:
        lock.acquire(timeout=seconds)
    except Timeout:
        raise refusal(_owner(note)) from None
    try:
        note.write_text(f"process {os.getpid()} on host {socket.gethostname()}\n")
        yield
    finally:
        note.unlink(missing_ok=True)
        lock.release()


def _owner(note: Path) -> str:
    try:
        return note.read_text().strip() or "another process"
    except OSError:
        return "another process"
