"""Progress reports of long-running work.

Commands return results; progress goes to an ``Observer``. The base class stays silent.
``ConsoleObserver`` redraws in place on a terminal and prints a line every few seconds anywhere else.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console, RenderableType
from rich.live import Live

_SECONDS_BETWEEN_LINES = 10.0
_SECONDS_BETWEEN_FRAMES = 0.5


class Observer:
    """Receives progress reports and ignores them.

    Attributes:
        redraws: whether ``show`` overwrites what it showed before, so that only the output of ``say`` stays visible.
    """

    redraws = False

    def say(self, text: str) -> None:
        """Report a one-time message, as a sentence."""

    def show(
        self, line: Callable[[], str], picture: Callable[[], RenderableType] | None = None, *, urgent: bool = False
    ) -> None:
        """Report the current state; may be called as often as convenient.

        Args:
            line: returns the state as one log line.
            picture: returns the state as a Rich renderable for a terminal; by default ``line``.
            urgent: report now, even if the last report was a moment ago.
        """

    def close(self) -> None:
        """End a display that is redrawn in place."""

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the display."""
        self.close()


def plain_console() -> Console:
    """Return a console that prints names as they are: brackets and colons in them are not markup."""
    return Console(markup=False, emoji=False)


class ConsoleObserver(Observer):
    """Reports to a console: redraws in place on a terminal, else prints a line every ten seconds."""

    def __init__(self, console: Console | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        """Report to ``console``, by default standard output."""
        self.console = console or plain_console()
        self._clock = clock
        self.redraws = self.console.is_terminal
        self._live: Live | None = None
        self._next_report = -float("inf")

    def say(self, text: str) -> None:
        """Print ``text``, above a live display if there is one."""
        self.console.print(text, soft_wrap=True, highlight=False)

    def show(
        self, line: Callable[[], str], picture: Callable[[], RenderableType] | None = None, *, urgent: bool = False
    ) -> None:
        """Redraw the live display, or print a line, if it is time."""
        now = self._clock()
        if now < self._next_report and not urgent:
            return
        if not self.redraws:
            self._next_report = now + _SECONDS_BETWEEN_LINES
            self.say(line())
            return
        self._next_report = now + _SECONDS_BETWEEN_FRAMES
        if self._live is None:
            self._live = Live(console=self.console, auto_refresh=False)
            self._live.start()
        self._live.update((picture or line)(), refresh=True)

    def close(self) -> None:
        """End the live display; its last frame stays on the screen."""
        if self._live:
            self._live.stop()
            self._live = None
        self._next_report = -float("inf")
