"""``Patience``: how long training waits without progress before it ends."""

from __future__ import annotations

import time
from collections.abc import Callable

from connectfour.errors import NoProgressError

_SHARE_BEFORE_A_NOTICE = 1 / 8


class Patience:
    """Counts the time without progress: says once what training waits for, and ends it when it has waited too long.

    Attributes:
        seconds: how long training waits.
    """

    def __init__(self, seconds: float, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        """Wait for ``seconds`` of ``clock``, and tell ``say`` what for."""
        self.seconds, self._say, self._clock = seconds, say, clock
        self.progressed()

    def progressed(self) -> None:
        """Begin anew: something was sampled or learned."""
        self._since = self._clock()
        self._said = False

    def check(self, trouble: str) -> None:
        """Go on waiting because of ``trouble``, which is half a sentence.

        Raises:
            NoProgressError: the wait has been too long.
        """
        waited = self._clock() - self._since
        if waited >= self.seconds:
            raise NoProgressError(
                f"training has made no progress for {self.seconds:g} s: {trouble}; fix the cause, or raise "
                "the patience (fault.patience)"
            )
        if waited >= self.seconds * _SHARE_BEFORE_A_NOTICE and not self._said:
            self._said = True
            self._say(f"training is waiting, for at most {self.seconds:g} s: {trouble}")
