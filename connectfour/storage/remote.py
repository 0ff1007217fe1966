"""A folder in an object store, such as ``s3://bucket/runs/first``.

An object appears when it has been written completely, and is replaced as a whole; it cannot be appended to, renamed or
locked. What stands on this room works in a local copy (``mirror``) that a lease keeps to one writer (``lease``).
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import IO, Any, NamedTuple
from urllib.parse import urlsplit

from connectfour.errors import StorageError
from connectfour.storage.address import parse_address

_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
_SECONDS_TO_CONNECT = 5
_SECONDS_TO_ANSWER = 30
_BYTES_AT_ONCE = 1 << 20
_CAUSES = {
    "NETWORK_CONNECTION": "the store does not answer: check the network, and AWS_ENDPOINT_URL if it is not Amazon's",
    "NO_SUCH_BUCKET": "there is no such bucket: create it, or name another one",
    "ACCESS_DENIED": "access is denied: check the credentials and their rights",
    "INVALID_ACCESS_KEY_ID": "the access key is unknown: check the credentials",
    "SIGNATURE_DOES_NOT_MATCH": "the secret key is wrong: check the credentials",
}


class Stamp(NamedTuple):
    """What changes with a file: its size in bytes and its time in nanoseconds."""

    size: int
    time_ns: int


@dataclass(frozen=True)
class RemoteFolder:
    """A folder in an object store; creating this object reads and writes nothing. It can be sent to other processes.

    Attributes:
        filesystem: the object store.
        root: bucket and key.
        address: what users call it; for messages.
    """

    filesystem: Any
    root: str
    address: str

    def __str__(self) -> str:
        """Return its address."""
        return self.address

    def __truediv__(self, name: str) -> RemoteFolder:
        """Return a folder in this one."""
        return RemoteFolder(self.filesystem, f"{self.root}/{name}", f"{self.address}/{name}")

    def files(self) -> dict[str, Stamp]:
        """Return the files in it by their relative paths.

        Raises:
            StorageError: as for all methods, the store does not answer or refuses.
        """
        from pyarrow import fs

        with _sentences(self.address):
            selector = fs.FileSelector(self.root, recursive=True, allow_not_found=True)
            return {
                info.path[len(self.root) :].lstrip("/"): Stamp(info.size, info.mtime_ns or 0)
                for info in self.filesystem.get_file_info(selector)
                if info.type == fs.FileType.File
            }

    def read(self, name: str) -> bytes | None:
        """Return what a file holds; None if there is no such file."""
        with _sentences(self.address), suppress(FileNotFoundError):
            with self.filesystem.open_input_stream(self._path(name)) as stream:
                data: bytes = stream.read()
            return data
        return None

    def download(self, name: str, file: Path) -> bool:
        """Copy a file from the store to ``file``; return whether there is one."""
        with _sentences(self.address), suppress(FileNotFoundError):
            with self.filesystem.open_input_stream(self._path(name)) as source, file.open("wb") as target:
                shutil.copyfileobj(source, target, _BYTES_AT_ONCE)
            return True
        return False

    def write(self, name: str, data: bytes) -> Stamp:
        """Write or replace a file as a whole, and return its new stamp."""
        return self._write(name, BytesIO(data))

    def upload(self, name: str, file: Path) -> Stamp | None:
        """Write or replace a file with what ``file`` holds, and return its new stamp; None if there is no ``file``."""
        with suppress(FileNotFoundError), file.open("rb") as source:
            return self._write(name, source)
        return None

    def _write(self, name: str, source: IO[bytes]) -> Stamp:
        with _sentences(self.address):
            with self.filesystem.open_output_stream(self._path(name)) as target:
                shutil.copyfileobj(source, target, _BYTES_AT_ONCE)
            info = self.filesystem.get_file_info(self._path(name))
            return Stamp(info.size, info.mtime_ns or 0)

    def remove(self, names: Iterable[str]) -> None:
        """Remove files; those that are not there are left alone."""
        with _sentences(self.address):
            for name in names:
                with suppress(FileNotFoundError):
                    self.filesystem.delete_file(self._path(name))

    def _path(self, name: str) -> str:
        return f"{self.root}/{name}"


def remote_folder(place: str | Path) -> RemoteFolder:
    """Return the folder at an address, with the credentials that the environment names.

    ``AWS_ENDPOINT_URL`` names an S3 server other than Amazon's.

    Raises:
        StorageError: there is no such kind of store, or it cannot be used here.
    """
    address = parse_address(place)
    with _sentences(str(address)):
        return RemoteFolder(_s3() if address.scheme == "s3" else _gcs(), address.root, str(address))


def _s3() -> Any:
    from pyarrow import fs

    endpoint = next((os.environ[name] for name in _ENDPOINTS if os.environ.get(name)), None)
    where = urlsplit(endpoint) if endpoint else None
    if where and not where.netloc:
        raise StorageError(f"AWS_ENDPOINT_URL = {endpoint} is no address: write, for example, http://127.0.0.1:9000")
    server = {"scheme": where.scheme, "endpoint_override": where.netloc} if where else {}
    return fs.S3FileSystem(
        connect_timeout=_SECONDS_TO_CONNECT,
        request_timeout=_SECONDS_TO_ANSWER,
        allow_delayed_open=True,  # one request for a small file instead of three
        **server,
    )


def _gcs() -> Any:
    from pyarrow import fs

    return fs.GcsFileSystem(retry_time_limit=timedelta(seconds=_SECONDS_TO_ANSWER))


@contextmanager
def _sentences(address: str) -> Iterator[None]:
    """Turn the errors of an object store into sentences."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        code = re.search(r"AWS Error (\w+)", str(error))
        cause = _CAUSES.get(code[1]) if code else None
        raise StorageError(f"{address} cannot be used: {cause or _first_line(error)}") from None


def _first_line(error: OSError) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
