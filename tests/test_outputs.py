"""Folders and files of a ranking that cannot be written are refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from connectfour.errors import RankingError
from connectfour.runs.folder import RunFolder
from connectfour.tournament.outputs import check_folder, check_picture


def test_what_can_be_written_passes_and_is_not_created(tmp_path: Path) -> None:
    """An existing folder or file, and new ones at any depth."""
    (tmp_path / "matches.jsonl").touch()
    (tmp_path / "old.png").touch()
    for folder in (tmp_path, tmp_path / "new" / "deep"):
        check_folder(RunFolder(folder))
    for picture in ("old.png", "new.PNG", "new/deep/new.png"):
        check_picture(tmp_path / picture)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["matches.jsonl", "old.png"]


def test_files_in_the_way_are_refused(tmp_path: Path) -> None:
    """A file instead of a folder, a folder instead of a file, another format."""
    (tmp_path / "file").touch()
    (tmp_path / "crosstable.csv").mkdir()
    (tmp_path / "folder.png").mkdir()
    for folder, message in ((tmp_path / "file" / "new", "file is a file, not a folder"), (tmp_path, "crosstable.csv")):
        with pytest.raises(RankingError, match=message):
            check_folder(RunFolder(folder))
    for name, message in (
        ("file/a.png", "file is a file, not a folder"),
        ("folder.png", "is a folder"),
        ("a.svg", "unsupported picture format 'a.svg'"),
        ("png", "unsupported picture format 'png'"),
    ):
        with pytest.raises(RankingError, match=message):
            check_picture(tmp_path / name)


def test_read_only_folders_and_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The superuser may write anything, so the system's answer is imitated."""
    log = tmp_path / "matches.jsonl"
    log.touch()
    for read_only in (tmp_path, log):
        monkeypatch.setattr(os, "access", lambda path, mode, read_only=read_only: path != read_only)
        with pytest.raises(RankingError, match=rf"{read_only.name} (is not writable|cannot be written)"):
            check_folder(RunFolder(tmp_path))
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path)
    with pytest.raises(RankingError, match="is not writable: choose another file"):
        check_picture(tmp_path / "new" / "a.png")
