"""Atomic file writes, and locks that name their owner."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from connectfour.system.processes import is_alive


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
    lock, note = FileLock(file), _note(file)
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


def seems_locked(file: Path) -> bool:
    """Return whether a process holds the lock ``file``, judging by its note alone: the lock is not touched.

    A process of another host counts as alive, because nobody here can tell.
    """
    note = _note(file)
    try:
        text, written = note.read_text(errors="replace"), note.stat().st_mtime
    except OSError:
        return False
    owner = re.fullmatch(r"process (\d+) on host (.+)", text.strip())
    return owner is not None and (owner[2] != socket.gethostname() or is_alive(int(owner[1]), since=written))


def _note(file: Path) -> Path:
    return file.with_name(f"{file.name}.owner")


def _owner(note: Path) -> str:
    try:
        return note.read_text().strip() or "another process"
    except OSError:
        return "another process"
