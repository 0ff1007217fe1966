"""Refuses folders and files that cannot be written, before any work begins."""

from __future__ import annotations

import os
from pathlib import Path

from connectfour.errors import RankingError
from connectfour.runs.folder import RunFolder
from connectfour.system.outputs import folder_fault


def check_folder(folder: RunFolder) -> None:
    """Check that a ranking can be written into ``folder``, which may not exist yet.

    Raises:
        RankingError: it cannot.
    """
    _check_parent(folder.path, "choose another --output")
    for file in (folder.match_log, folder.leaderboard, folder.leaderboard_picture, folder.crosstable):
        if file.exists() and (file.is_dir() or not os.access(file, os.W_OK)):
            raise RankingError(f"{file} cannot be written: move it away, or choose another --output")


def check_picture(file: Path) -> None:
    """Check that a picture can be written to ``file``, in a folder which may not exist yet.

    Raises:
        RankingError: it cannot, or the name does not end in .png.
    """
    if file.suffix.lower() != ".png":
        raise RankingError(f"unsupported picture format {file.name!r}: use a name that ends in .png")
    if file.is_dir():
        raise RankingError(f"{file} is a folder: name a file that ends in .png")
    _check_parent(file.parent, "choose another file")


def _check_parent(folder: Path, hint: str) -> None:
    """Check that ``folder`` is a writable folder or can be created."""
    fault = folder_fault(folder)
    if fault:
        raise RankingError(f"{fault}: {hint}")
