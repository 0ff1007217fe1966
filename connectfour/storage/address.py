"""Addresses in object stores, such as ``s3://bucket/runs/first``, told from paths."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from connectfour.errors import StorageError

# As a path, s3://bucket/key becomes s3:/bucket/key.
_ADDRESS = re.compile(r"(s3|gs):/+([^/]+)/*(.*)")
_ANY_ADDRESS = re.compile(r"[a-z][a-z0-9+]+://.*|(abfss?|az|file|ftp|gcs|hdfs|https?|s3a|s3n):/.*")


def is_remote(place: str | Path) -> bool:
    """Return whether ``place`` is an address in an object store rather than a path."""
    return any(form.fullmatch(str(place)) for form in (_ADDRESS, _ANY_ADDRESS))


def address_of(place: str | Path) -> str:
    """Return an address as users write it; an empty string if ``place`` is a path.

    Raises:
        StorageError: it is an address in a store that is not known here.
    """
    return str(parse_address(place)) if is_remote(place) else ""


class Address(NamedTuple):
    """The address of a folder in an object store.

    Attributes:
        scheme: the kind of store, ``s3`` or ``gs``.
        root: bucket and key.
    """

    scheme: str
    root: str

    def __str__(self) -> str:
        """Return it as users write it."""
        return f"{self.scheme}://{self.root}"


def parse_address(place: str | Path) -> Address:
    """Return the parts of an address.

    Raises:
        StorageError: it is none, or one of a store that is not known here.
    """
    parts = _ADDRESS.fullmatch(str(place))
    if parts is None:
        raise StorageError(f"{place} is no address: write s3://BUCKET/KEY, gs://BUCKET/KEY or a path")
    return Address(parts[1], "/".join((parts[2], *filter(None, parts[3].split("/")))))
