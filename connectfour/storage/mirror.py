"""A local copy of a folder in an object store: commands work in the copy, and what they change is written back.

Files whose name or folder begins with a dot stay here. What refers to other files, such as a manifest, is written back
after them.
"""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path

from connectfour.errors import StorageError
from connectfour.storage.remote import RemoteFolder, Stamp
from connectfour.system.files import write_atomically

ALL = ("*",)
_INDEX = ".mirror.json"
_POINTERS = ("*manifest.json", "*sealed.json", "steps/*.json")
"""Files that name others: they are written last."""
_THREADS = 8


class Mirror:
    """A local copy of a folder in an object store.

    Patterns such as ``league/*`` are those of ``fnmatch``, for paths relative to the folder; ``*`` also matches ``/``.
    What matches ``!`` and a pattern is left out.
    """

    def __init__(self, remote: RemoteFolder, folder: Path, check: Callable[[], None] = lambda: None) -> None:
        """Keep a copy of ``remote`` in ``folder``, which may hold one from an earlier process.

        ``check`` is called before anything is written back; it raises an error if this process may not.
        """
        self.remote, self.folder = remote, folder
        self._check = check
        self._lock = threading.RLock()  # ``pushing`` writes back in a thread of its own
        folder.mkdir(parents=True, exist_ok=True)
        self._index = _read_index(folder / _INDEX)

    def pull(self, *patterns: str) -> None:
        """Bring the copy up to date with the store, for files that match one of ``patterns`` (default: all).

        A file that a killed process changed here and could not write back is kept, unless the store's has changed, too.

        Raises:
            StorageError: the store does not answer or refuses.
        """
        with self._lock:
            found = {name: stamp for name, stamp in self.remote.files().items() if _wanted(name, patterns)}
            stale = [name for name, stamp in found.items() if self._is_stale(name, stamp)]
            with ThreadPoolExecutor(_THREADS) as pool:
                for name, local in zip(stale, pool.map(self._download, stale), strict=True):
                    if local is not None:  # else it was removed a moment ago
                        self._index[name] = (found[name], local)
            for name in [name for name in self._index if _wanted(name, patterns) and name not in found]:
                if self._local(name) == self._index[name][1]:
                    (self.folder / name).unlink(missing_ok=True)
                del self._index[name]
            self._write_index()

    def _is_stale(self, name: str, stamp: Stamp) -> bool:
        before, local = self._index.get(name), self._local(name)
        if before is None or before[0] != stamp:
            return True
        return local is None

    def _download(self, name: str) -> Stamp | None:
        file, before = self.folder / name, self._index.get(name)
        file.parent.mkdir(parents=True, exist_ok=True)
        local = self._local(name)
        if local and before and local != before[1]:  # the store's was changed, too: it counts, and nothing is lost
            file.replace(file.with_name(f".{file.name}.unsent"))
        # Readers of the copy see the old file or the new one. Flushing it would be slow: the store has it.
        part = file.with_name(f".{file.name}.part")
        if not self.remote.download(name, part):
            part.unlink(missing_ok=True)
            return None
        part.replace(file)
        return _stamp(file)

    def push(self, *patterns: str) -> int:
        """Write back the files that were changed here, and remove those that were removed here.

        Returns the number of files that were written.

        Raises:
            StorageError: the store does not answer or refuses.
        """
        with self._lock:
            self._check()
            # What a pointer names was written before it: read the pointers before looking at the other files.
            pointing = {name: stamp for name, stamp in self._changed(patterns).items() if _wanted(name, _POINTERS)}
            pointers = {name: self._read(name) for name in pointing}
            here = self._here(patterns)
            others = [name for name in self._changed(patterns, here) if not _wanted(name, _POINTERS)]
            with ThreadPoolExecutor(_THREADS) as pool:
                written = pool.map(lambda name: self.remote.upload(name, self.folder / name), others)
                for name, stamp in zip(others, written, strict=True):
                    self._note(name, stamp, here[name])
            for name, data in pointers.items():
                if data is not None:
                    self._note(name, self.remote.write(name, data), pointing[name])
            gone = [name for name in self._index if _wanted(name, patterns) and name not in here]
            self.remote.remove(gone)
            for name in gone:
                del self._index[name]
            if others or pointers or gone:
                self._write_index()
            return len(others) + len(pointers)

    def remove(self, folders: Iterable[Path]) -> None:
        """Remove folders here and in the store."""
        with self._lock:
            gone = [str(folder.relative_to(self.folder)) for folder in folders]
            names = [name for name in self.remote.files() if any(name.startswith(f"{folder}/") for folder in gone)]
            self.remote.remove(names)
            for folder in gone:
                shutil.rmtree(self.folder / folder, ignore_errors=True)
            self._index = {name: stamps for name, stamps in self._index.items() if name not in names}
            self._write_index()

    @contextmanager
    def pushing(self, *patterns: str, seconds: float, say: Callable[[str], None]) -> Iterator[None]:
        """Write changes back every so many seconds while the block runs, and once more at its end.

        Raises:
            StorageError: at the end, the store does not answer or refuses.
        """
        ended = threading.Event()

        def push() -> None:
            failing = False
            while not ended.wait(seconds):
                try:
                    self.push(*patterns)
                    failing = False
                except StorageError as error:
                    if not failing:
                        say(f"{error}; until then, everything is kept in {self.folder}")
                    failing = True

        thread = threading.Thread(target=push, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            self.finish(*patterns)

    def finish(self, *patterns: str) -> None:
        """Write everything back.

        Raises:
            StorageError: the store does not answer or refuses; the message says where everything is.
        """
        try:
            self.push(*patterns)
        except StorageError as error:
            raise StorageError(f"{error}; everything is kept in {self.folder}, and the same command goes on") from None

    def _here(self, patterns: Iterable[str]) -> dict[str, Stamp]:
        """Return the wanted files of the copy, with their stamps."""
        found = {}
        for file in self.folder.rglob("*"):
            name = str(file.relative_to(self.folder))
            if _wanted(name, patterns) and file.is_file():
                stamp = self._local(name)
                if stamp is not None:
                    found[name] = stamp
        return found

    def _changed(self, patterns: Iterable[str], here: Mapping[str, Stamp] | None = None) -> dict[str, Stamp]:
        """Return those that are not in the store as they are here."""
        found = self._here(patterns) if here is None else here
        return {name: stamp for name, stamp in found.items() if self._index.get(name, (None, None))[1] != stamp}

    def _local(self, name: str) -> Stamp | None:
        try:
            return _stamp(self.folder / name)
        except OSError:
            return None

    def _read(self, name: str) -> bytes | None:
        try:
            return (self.folder / name).read_bytes()
        except FileNotFoundError:  # it was removed a moment ago
            return None

    def _note(self, name: str, remote: Stamp | None, local: Stamp) -> None:
        if remote is not None:
            self._index[name] = (remote, local)

    def _write_index(self) -> None:
        write_atomically(self.folder / _INDEX, json.dumps(self._index).encode())


def _wanted(name: str, patterns: Iterable[str]) -> bool:
    if any(part.startswith(".") for part in name.split("/")):
        return False
    left_out = [pattern[1:] for pattern in patterns if pattern.startswith("!")]
    return any(fnmatch(name, pattern) for pattern in (patterns or ALL)) and not any(
        fnmatch(name, pattern) for pattern in left_out
    )


def _stamp(file: Path) -> Stamp:
    found = file.stat()
    return Stamp(found.st_size, found.st_mtime_ns)


def _read_index(file: Path) -> dict[str, tuple[Stamp, Stamp]]:
    try:
        stored = json.loads(file.read_bytes())
        return {name: (Stamp(*remote), Stamp(*local)) for name, (remote, local) in stored.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
