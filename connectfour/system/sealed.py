"""Sealed folders: a folder whose files are all on disk, listed with their hashes in an index that is written last."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from connectfour.system.files import flush, write_atomically

INDEX = "sealed.json"
"""File of a sealed folder that lists all others with their SHA-256."""

_OLD_INDEX = "league_checkpoint.json"


def seal(folder: Path, **facts: Any) -> None:
    """Flush all files in ``folder`` to disk, and write an index with their hashes and ``facts``."""
    hashes = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != INDEX:
            hashes[str(path.relative_to(folder))] = sha256_of(path)
    flush_tree(folder)
    write_atomically(folder / INDEX, (json.dumps({**facts, "files": hashes}, indent=1) + "\n").encode())


def read_index(folder: Path) -> dict[str, Any] | None:
    """Return what the index of a sealed folder says; None if there is no index, or it is damaged."""
    for name in (INDEX, _OLD_INDEX):
        try:
            index = json.loads((folder / name).read_bytes())
        except (OSError, ValueError, RecursionError):
            continue
        if isinstance(index, dict) and isinstance(index.get("files"), dict):
            return index
    return None


def is_sealed(folder: Path) -> bool:
    """Return whether a folder has an index, readable or not: its files were complete once."""
    return any((folder / name).exists() for name in (INDEX, _OLD_INDEX))


def fault_in(folder: Path) -> str | None:
    """Return why a sealed folder cannot be used, as a short clause; None if all files are as they were written.

    Folders that release 0.1 sealed list only the sizes of their files.
    """
    index = read_index(folder)
    if index is None:
        return "it is incomplete"
    for name, expected in index["files"].items():
        path = folder / name
        try:
            if not path.is_file():
                return f"{name} is missing"
            found = path.stat().st_size if isinstance(expected, int) else sha256_of(path)
        except OSError:
            return f"{name} cannot be read"
        if found != expected:
            return f"{name} is damaged"
    return None


def flush_tree(folder: Path) -> None:
    """Flush a folder with everything in it to disk."""
    for path in (*folder.rglob("*"), folder):
        flush(path)


def sha256_of(file: Path) -> str:
    """Return the SHA-256 of a file's contents."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
