"""Notices: sentences that a process far away has for whoever watches a training run.

The trainer is a process of its own, perhaps on another machine, and between two results it has no other way to say
that it waits for something.
"""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from pathlib import Path

_log = logging.getLogger("connectfour")


class Notices:
    """Logs sentences as warnings, and appends them to a file if there is one, each with its time."""

    def __init__(self, file: Path | None = None) -> None:
        """Append to ``file``, whose folder exists when the first sentence is said."""
        self._file = file

    def say(self, sentence: str) -> None:
        """Pass on a sentence."""
        _log.warning(sentence)
        if self._file is not None:
            # A full disk must not end a run that has something to say about it.
            with suppress(OSError), self._file.open("a") as stream:
                stream.write(f"{time.strftime('%Y-%m-%dT%H:%M:%S')} {' '.join(sentence.split())}\n")


class NoticeReader:
    """Reads what is appended to a file of notices from now on."""

    def __init__(self, file: Path) -> None:
        """Start at the end of ``file``, which need not exist yet."""
        self._file = file
        self._position = file.stat().st_size if file.exists() else 0

    def read(self) -> list[str]:
        """Return the sentences since the last call, without their times."""
        try:
            with self._file.open() as stream:
                stream.seek(self._position)
                text = stream.read()
        except FileNotFoundError:
            return []
        whole = text[: text.rfind("\n") + 1]
        self._position += len(whole.encode())
        return [line.partition(" ")[2] for line in whole.splitlines()]
