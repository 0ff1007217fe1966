"""Receipts: whether a step is up to date, and what a step that was cut off has left.

A step's receipt is written last, and atomically. The step is up to date if its command, seed, the package's version and
the hashes of all that it reads and writes are those of the receipt. Times and machine are noted beside that.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from connectfour.experiments.execution.graph import Step
from connectfour.experiments.layout import ExperimentFolder, says_no
from connectfour.system.files import write_atomically
from connectfour.system.sealed import sha256_of
from connectfour.version import __version__


class Receipts:
    """The receipts in an experiment's folder."""

    def __init__(self, folder: ExperimentFolder) -> None:
        """Read and write in ``folder``."""
        self._folder = folder
        self._hashes: dict[tuple[str, int, int], str] = {}
        self._identities: dict[str, dict[str, Any]] = {}

    def is_done(self, step: Step) -> bool:
        """Return whether a step is up to date."""
        receipt = self.read(step)
        return (
            receipt is not None
            and _same(receipt, self._identity(step))
            and receipt.get("outputs") == self._hashes_of(step.outputs)
        )

    def is_unwanted(self, step: Step) -> bool:
        """Return whether the file with a step's condition says no."""
        return step.condition is not None and says_no(self._folder.path / step.condition)

    def lacks_sources(self, step: Step) -> bool:
        """Return whether a step reads files that there may be, and there is none."""
        return bool(step.sources) and not any((self._folder.path / source).exists() for source in step.sources)

    def read(self, step: Step) -> dict[str, Any] | None:
        """Return the receipt of a step; None if there is none, or it is damaged."""
        return read_json(self._folder.receipt(step.name))

    def discard(self, step: Step) -> None:
        """Remove what a step wrote earlier, so that nobody takes it for a result of what is there now.

        The step's own folder is moved to ``replaced``.
        """
        self._folder.receipt(step.name).unlink(missing_ok=True)
        self._make_room(step)

    def begin(self, step: Step) -> None:
        """Make room for a step, as ``discard`` does, unless it was cut off before and can go on from its outputs."""
        identity = self._identities[step.name] = self._identity(step)
        note = self._folder.begun(step.name)
        self._folder.receipt(step.name).unlink(missing_ok=True)
        if not (step.resumes and _same(read_json(note) or {}, identity)):
            self._make_room(step)
        note.parent.mkdir(parents=True, exist_ok=True)
        write_json(note, {"game": step.game, "step": step.name, **identity})
        if step.folder is None:
            for output in step.outputs:
                (self._folder.path / output).parent.mkdir(parents=True, exist_ok=True)

    def _make_room(self, step: Step) -> None:
        own = self._folder.path / step.folder if step.folder else None
        if own and own.exists():
            self._folder.replaced.mkdir(exist_ok=True)
            numbers = (path.name.partition("-")[0] for path in self._folder.replaced.iterdir())
            number = 1 + max((int(each) for each in numbers if each.isdecimal()), default=0)
            own.rename(self._folder.replaced / f"{number}-{own.name}")
        for output in step.outputs:
            path = self._folder.path / output
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    def missing(self, step: Step) -> list[str]:
        """Return the outputs that a step should have written and has not."""
        return [output for output in step.outputs if not (self._folder.path / output).exists()]

    def write(self, step: Step, facts: Mapping[str, Any]) -> None:
        """Write the receipt of a step that has succeeded, with ``facts`` about how.

        What it read is what was there when it began.
        """
        identity = self._identities.pop(step.name) if step.name in self._identities else self._identity(step)
        receipt = {
            "game": step.game,
            "step": step.name,
            **identity,
            "outputs": self._hashes_of(step.outputs),
            **facts,
        }
        write_json(self._folder.receipt(step.name), receipt)
        self._folder.begun(step.name).unlink(missing_ok=True)

    def _identity(self, step: Step) -> dict[str, Any]:
        """Return what makes it the same step as before."""
        return {
            "command": list(step.command),
            "inputs": self._hashes_of(step.reads),
            "seed": step.seed,
            "version": __version__,
        }

    def _hashes_of(self, files: tuple[str, ...]) -> dict[str, str | None]:
        return {file: self._hash(self._folder.path / file) for file in files}

    def _hash(self, path: Path) -> str | None:
        """Return the hash of a file, or of everything in a folder; None if there is nothing."""
        if path.is_dir():
            digest = hashlib.sha256()
            for each in sorted(path.rglob("*")):
                if each.is_file() and not each.name.startswith("."):
                    digest.update(f"{each.relative_to(path)} {self._hash(each)}\n".encode())
            return digest.hexdigest()
        try:
            status = path.stat()
        except OSError:
            return None
        key = (str(path), status.st_mtime_ns, status.st_size)
        if key not in self._hashes:
            self._hashes[key] = sha256_of(path)
        return self._hashes[key]


def _same(receipt: Mapping[str, Any], identity: Mapping[str, Any]) -> bool:
    return all(receipt.get(name) == value for name, value in identity.items())


def read_json(file: Path) -> dict[str, Any] | None:
    """Return the object in a JSON file; None if there is none, or it is damaged."""
    try:
        values = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return values if isinstance(values, dict) else None


def write_json(file: Path, values: Mapping[str, Any]) -> None:
    """Write an object as a JSON file, atomically."""
    write_atomically(file, (json.dumps(values, indent=1) + "\n").encode())
