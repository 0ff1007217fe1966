"""``StoreCopy``: the trainer's copy of a run that is kept in an object store."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

from typing_extensions import override

from connectfour.errors import StorageError
from connectfour.rllib.part import Part
from connectfour.runs.folder import LEAGUE_FILES
from connectfour.storage.mirror import Mirror
from connectfour.storage.remote import RemoteFolder

_SECONDS_PER_PUSH = 5.0


class StoreCopy(Part):
    """Fetches a run's league from an object store, and writes back what the trainer changes, every few seconds.

    Tune writes checkpoints there itself.
    """

    name = "store_copy"

    def __init__(self, remote: RemoteFolder, folder: Path, say: Callable[[str], None]) -> None:
        """Fetch the league of the run ``remote`` into ``folder``; ``say`` gets a sentence if the store goes away.

        Raises:
            StorageError: the store does not answer or refuses.
        """
        self._mirror = Mirror(remote, folder)
        self._mirror.pull(*LEAGUE_FILES)
        self._pushing = ExitStack()
        self._pushing.enter_context(self._mirror.pushing(*LEAGUE_FILES, seconds=_SECONDS_PER_PUSH, say=say))

    def fetch(self, name: str) -> Path:
        """Return the path of a copy of a folder in the run, such as a checkpoint."""
        self._mirror.pull(f"{name}/*")
        return self._mirror.folder / name

    @override
    def saved(self, folder: Path) -> None:
        """Write the league back with every checkpoint."""
        with suppress(StorageError):  # the next attempt follows in a few seconds
            self._mirror.push(*LEAGUE_FILES)

    @override
    def close(self) -> None:
        """Write everything back."""
        self._pushing.close()
