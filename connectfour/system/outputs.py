"""Refuses files and folders that cannot be written, before any work begins."""

from __future__ import annotations

import os
from pathlib import Path

from connectfour.errors import OutputError


def check_output(file: Path, suffix: str) -> None:
    """Check that a command can write ``file``, whose name must end in ``suffix``.

    Raises:
        OutputError: it cannot.
    """
    if file.suffix.lower() != suffix:
        raise OutputError(f"{file} has an unsupported format: use a name that ends in {suffix}")
    if not file.parent.exists():
        raise OutputError(f"{file.parent} does not exist: create it, or name another folder")
    if file.is_dir() or folder_fault(file.parent):
        raise OutputError(f"{file} cannot be written: name a file in a writable folder")


def folder_fault(folder: Path) -> str | None:
    """Return why nothing can be written into ``folder``, which may not exist yet, as a clause; None if it can."""
    nearest = next((each for each in (folder, *folder.parents) if each.exists()), Path())
    if not nearest.is_dir():
        return f"{nearest} is a file, not a folder"
    if not os.access(nearest, os.W_OK):
        return f"the folder {nearest} is not writable"
    return None
