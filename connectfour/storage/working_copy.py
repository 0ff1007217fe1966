"""Places that may be in an object store, as local folders: what commands read and write."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from connectfour.errors import StorageError
from connectfour.storage.address import is_remote
from connectfour.storage.lease import leased
from connectfour.storage.mirror import Mirror
from connectfour.storage.remote import RemoteFolder, remote_folder
from connectfour.system.files import locked

_SECONDS_PER_PUSH = 20.0
_SECONDS_FOR_A_READER = 600.0


def cache() -> Path:
    """Return the folder of all working copies: ``CONNECTFOUR_CACHE``, or ``connectfour`` in the user's cache."""
    own = os.environ.get("CONNECTFOUR_CACHE")
    return Path(own) if own else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "connectfour"


def copy_of(remote: RemoteFolder, purpose: str) -> Path:
    """Return where this machine keeps its copy of a folder for ``purpose``; copies for two purposes are apart."""
    return (cache() / purpose / remote.address.replace("://", "/")).absolute()


def readable(place: str | Path, *patterns: str) -> Path:
    """Return a path from which a place can be read: its own, or that of a copy that is up to date now.

    Args:
        place: a path, or an address in an object store.
        patterns: which files are copied, as for ``Mirror``; default: all.

    Raises:
        StorageError: the store does not answer or refuses.
    """
    if not is_remote(place):
        return Path(place)
    remote = remote_folder(place)
    folder = copy_of(remote, "read")
    folder.mkdir(parents=True, exist_ok=True)

    def refusal(owner: str) -> StorageError:
        return StorageError(f"{owner} has been reading {remote} for long: wait for it or stop it")

    with locked(folder / ".copy.lock", refusal, seconds=_SECONDS_FOR_A_READER):
        Mirror(remote, folder).pull(*patterns)
    return folder


@contextmanager
def writable(
    place: str | Path,
    purpose: str,
    *patterns: str,
    refusal: Callable[[str], Exception],
    say: Callable[[str], None] = lambda _: None,
) -> Iterator[Path]:
    """Yield a path at which a place can be read and written: its own, or that of a working copy.

    What changes in the copy is written back every few seconds and at the end. A lease keeps other machines out that
    write for the same purpose.

    Args:
        place: a path, or an address in an object store.
        purpose: what for; names the lease and the copy.
        patterns: which files are copied and written back, as for ``Mirror``; default: all.
        refusal: returns the error to raise if another process holds the lease.
        say: gets a sentence if the store cannot be reached for a while.

    Raises:
        StorageError: the store does not answer or refuses; what could not be written back is still in the copy.
    """
    if not is_remote(place):
        yield Path(place)
        return
    with checked_out(place, purpose, refusal) as mirror:
        mirror.pull(*patterns)
        with mirror.pushing(*patterns, seconds=_SECONDS_PER_PUSH, say=say):
            yield mirror.folder


@contextmanager
def checked_out(
    place: str | Path, purpose: str, refusal: Callable[[str], Exception], *, seconds: float = 0.0
) -> Iterator[Mirror]:
    """Yield a working copy of a folder in an object store, which this process alone may write back.

    Arguments and errors are those of ``writable``; nothing is copied yet. ``seconds`` says how long to wait for another
    process.
    """
    remote = remote_folder(place)
    folder = copy_of(remote, purpose)
    folder.mkdir(parents=True, exist_ok=True)
    with (
        locked(folder / ".copy.lock", refusal, seconds=seconds),
        leased(remote, refusal, name=purpose, seconds=seconds) as check,
    ):
        yield Mirror(remote, folder, check)
