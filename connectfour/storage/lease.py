"""A lease on a folder in an object store: one process at a time may write there.

Object stores cannot lock. A claim is an object of its own, which its process renews; a claim that has not been renewed
for a minute counts as dead. Whoever wants the lease writes a claim, waits until every claim that is as old must be
visible, and holds the lease if no living claim is older. For that, a claim counts only if it was written quickly; one
that took longer is withdrawn and written again. All times are those of the store: clocks of machines may differ.
"""

from __future__ import annotations

import os
import re
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

from connectfour.errors import StorageError
from connectfour.storage.remote import RemoteFolder
from connectfour.system.processes import is_alive

_SECONDS_TO_WRITE = 1.5
_SECONDS_TO_SETTLE = _SECONDS_TO_WRITE + 1.0  # stores may round times to seconds
_MOST_ATTEMPTS = 20
_SECONDS_PER_RENEWAL = 15.0
_SECONDS_TO_LIVE = 60.0
_CLAIM, _BEAT = ".claim", ".beat"


@contextmanager
def leased(
    remote: RemoteFolder, refusal: Callable[[str], Exception], *, name: str = "lease", seconds: float = 0.0
) -> Iterator[Callable[[], None]]:
    """Hold the lease ``name`` on a folder, or raise ``refusal(owner)`` if another process, ``owner``, still holds it.

    Yields what raises a ``StorageError`` once another process has taken the lease over, because this one could not
    renew its claim for a minute.

    Args:
        remote: the folder.
        refusal: returns the error to raise; ``owner`` is, for example, "process 4711 on host a1".
        name: what the lease is for; leases of different names do not exclude each other.
        seconds: how long to wait for it.

    Raises:
        StorageError: the store does not answer or refuses.
    """
    claims = replace(remote / f".{name}", address=remote.address)
    give_up = time.monotonic() + seconds
    own = _claim(claims)
    try:
        while (older := _older(claims, own)) is not None:
            if time.monotonic() >= give_up:
                owner = claims.read(older + _CLAIM)
                raise refusal(owner.decode(errors="replace") if owner else "another process")
            time.sleep(_SECONDS_TO_SETTLE)
            claims.write(own + _BEAT, b"")
        with _renewing(claims, own) as check:
            yield check
    finally:
        claims.remove([own + _CLAIM, own + _BEAT])


def _claim(claims: RemoteFolder) -> str:
    """Write a claim and return its id."""
    owner = f"process {os.getpid()} on host {socket.gethostname()}".encode()
    for _ in range(_MOST_ATTEMPTS):
        own, began = uuid.uuid4().hex, time.monotonic()
        claims.write(own + _CLAIM, owner)
        if time.monotonic() - began <= _SECONDS_TO_WRITE:
            return own
        claims.remove([own + _CLAIM])
    raise StorageError(
        f"{claims} answers too slowly to be used safely: a write of some bytes takes more than {_SECONDS_TO_WRITE:g} s"
    )


def _older(claims: RemoteFolder, own: str) -> str | None:
    """Return the oldest living claim but one's own, if it is older; remove dead ones."""
    time.sleep(_SECONDS_TO_SETTLE)
    files = claims.files()
    now = claims.write(own + _BEAT, b"").time_ns
    found: list[tuple[int, str]] = []
    for claim in (file.removesuffix(_CLAIM) for file in files if file.endswith(_CLAIM)):
        stamps = [files[file] for file in (claim + _CLAIM, claim + _BEAT) if file in files]
        age = 1e-9 * (now - max(stamp.time_ns for stamp in stamps))
        if claim != own and (age > _SECONDS_TO_LIVE or _has_ended(claims.read(claim + _CLAIM))):
            claims.remove([claim + _CLAIM, claim + _BEAT])
        else:
            found.append((files[claim + _CLAIM].time_ns, claim))
    oldest = min(found, default=None)
    return None if oldest is None or oldest[1] == own else oldest[1]


def _has_ended(owner: bytes | None) -> bool:
    """Return whether the owner of a claim is a process of this machine that has ended."""
    process = re.fullmatch(r"process (\d+) on host (.+)", (owner or b"").decode(errors="replace"))
    return process is not None and process[2] == socket.gethostname() and not is_alive(int(process[1]))


@contextmanager
def _renewing(claims: RemoteFolder, own: str) -> Iterator[Callable[[], None]]:
    ended, lost = threading.Event(), threading.Event()

    def renew() -> None:
        while not ended.wait(_SECONDS_PER_RENEWAL) and not lost.is_set():
            with suppress(StorageError):  # the store may come back before the claim counts as dead
                if claims.read(own + _CLAIM) is None:
                    lost.set()
                else:
                    claims.write(own + _BEAT, b"")

    def check() -> None:
        if lost.is_set():
            raise StorageError(
                f"another process writes to {claims} by now, because this one could not "
                "reach the store for a minute: nothing more is written there"
            )

    thread = threading.Thread(target=renew, daemon=True)
    thread.start()
    try:
        yield check
    finally:
        ended.set()
        thread.join()
