"""Atomic file writes."""

from __future__ import annotations

import os
from collections.abc import Iterator
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
        _flush(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    _flush(path.parent)


def _flush(path: Path) -> None:
    """Flush a file, or a folder's entries, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(file: Path, refusal: Exception) -> Iterator[None]:
    """Hold the lock ``file``, or raise ``refusal`` if another process holds it.

    The lock ends with the process, however it ends.
    """
    lock = FileLock(file)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise refusal from None
    try:
        yield
    finally:
        lock.release()
