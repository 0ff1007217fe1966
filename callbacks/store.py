"""A Tune callback for runs that are kept in an object store."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from ray import tune

from connectfour.errors import StorageError
from connectfour.storage.mirror import Mirror

_NOTICES = "league/notices.log"
_SECONDS_PER_LOOK = 10.0


class StoreCallback(tune.Callback):  # type: ignore[misc]  # Ray's classes are untyped here
    """Writes back what the command changes while it trains, and fetches the trainer's notices."""

    def __init__(
        self,
        mirror: Mirror | None,
        files: Sequence[str],
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Write back ``files`` of ``mirror``; ``say`` gets a sentence when the store goes away."""
        self._mirror, self._files, self._say, self._clock = mirror, tuple(files), say, clock
        self._due = 0.0
        self._failing = False

    def __reduce__(self) -> tuple[Any, ...]:
        """Make it picklable, so that Tune can store the experiment: a copy does nothing."""
        return StoreCallback, (None, self._files, print)

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Exchange files every few seconds; Tune calls this several times a second."""
        if self._mirror is None or self._clock() < self._due:
            return
        self._due = self._clock() + _SECONDS_PER_LOOK
        try:
            self._mirror.push(*self._files)
            self._mirror.pull(_NOTICES)
            self._failing = False
        except StorageError as error:
            if not self._failing:
                self._say(f"{error}; training goes on, and progress is kept in {self._mirror.folder}")
            self._failing = True
