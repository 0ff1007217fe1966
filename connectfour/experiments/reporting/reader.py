"""Reads files of an experiment, whatever state they are in: a damaged one becomes a sentence of the report."""

from __future__ import annotations

import base64
import csv
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from connectfour.errors import ConfigError
from connectfour.experiments.reporting.rows import Row
from connectfour.settings.reading import read_yaml

AnyRow = TypeVar("AnyRow", bound=Row)
AnyModel = TypeVar("AnyModel", bound=BaseModel)

_KINDS = {  # suffix: (media type, first bytes, last bytes)
    ".png": ("image/png", b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"),
    ".gif": ("image/gif", b"GIF8", b";"),
    ".svg": ("image/svg+xml", b"<", b"</svg>"),
}
_TAIL_BYTES, _TAIL_LINES = 16_384, 15
_TERMINAL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")


class Reader:
    """Reads files below a folder."""

    def __init__(self, folder: Path) -> None:
        """Remember the folder, and read nothing."""
        self._folder = folder
        self._faults: dict[Path, str] = {}

    @property
    def faults(self) -> list[str]:
        """A sentence for each file that was damaged."""
        return list(self._faults.values())

    def name(self, file: Path) -> str:
        """Return a file's path below the folder."""
        return file.relative_to(self._folder).as_posix()

    def say(self, file: Path, fault: object) -> None:
        """Remember what is wrong with a file; the first fault counts."""
        self._faults.setdefault(file, f"{self.name(file)} is damaged and was left out: {fault}")

    def text(self, file: Path) -> str | None:
        """Return the text of a file; None if it is missing or damaged."""
        try:
            return file.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except (UnicodeDecodeError, OSError) as error:
            self.say(file, _reason(error))
            return None

    def values(self, file: Path) -> dict[str, Any] | None:
        """Return the contents of a YAML file; None as for ``text``."""
        if not file.exists():
            return None
        try:
            return read_yaml(file)
        except ConfigError as error:
            self.say(file, str(error).replace(str(file), "it"))
            return None

    def json(self, file: Path, kind: type[AnyModel]) -> AnyModel | None:
        """Return what a JSON file holds; None as for ``text``."""
        text = self.text(file)
        if text is None:
            return None
        try:
            return kind.model_validate_json(text)
        except ValidationError as error:
            self.say(file, _first(error))
            return None

    def rows(self, file: Path, kind: type[AnyRow], *, only_last: bool = False) -> list[AnyRow]:
        """Return the rows of a CSV file; an empty list if it is missing or damaged.

        Args:
            file: the file.
            kind: what its lines are.
            only_last: return the last row alone, and check no other.
        """
        number = 1
        try:
            lines = list(_lines(file))
            found = []
            for number, line in lines[-1:] if only_last else lines:  # noqa: B007  # a fault names the line
                found.append(kind.model_validate(line))
        except FileNotFoundError:
            return []
        except ValidationError as error:
            self.say(file, f"line {number}, {_first(error)}")
        except (UnicodeDecodeError, csv.Error, OSError) as error:
            self.say(file, _reason(error))
        else:
            return found
        return []

    def picture(self, file: Path) -> str | None:
        """Return a PNG, GIF or SVG as a data URI; None as for ``text``."""
        media, first, last = _KINDS[file.suffix]
        try:
            data = file.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            self.say(file, _reason(error))
            return None
        if not (data.startswith(first) and data.rstrip(b"\n").endswith(last)):
            self.say(file, "it is not a whole picture")
            return None
        return f"data:{media};base64,{base64.b64encode(data).decode()}"

    def log_end(self, file: Path) -> str:
        """Return the last lines of a log, without control sequences of terminals; empty if there is none."""
        try:
            with file.open("rb") as stream:
                size = stream.seek(0, os.SEEK_END)
                stream.seek(max(0, size - _TAIL_BYTES))
                text = stream.read().decode(errors="replace")
        except OSError:
            return ""
        lines = [_TERMINAL.sub("", line.rstrip().rpartition("\r")[2]) for line in text.split("\n")]
        return "\n".join([line for line in lines if line.strip()][-_TAIL_LINES:])


def _lines(file: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the lines of a CSV file with their numbers; empty cells and NaN are left out."""
    with file.open(newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream, strict=True)
        for line in reader:
            known = {name: cell for name, cell in line.items() if name and cell and cell.lower() != "nan"}
            yield reader.line_num, known


def _first(error: ValidationError) -> str:
    fault = error.errors()[0]
    where = ".".join(map(str, fault["loc"]))
    return f"{where}: {fault['msg'][0].lower()}{fault['msg'][1:]}" if where else fault["msg"]


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8"
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
