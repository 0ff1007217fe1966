"""Where commands print."""

from __future__ import annotations

from rich.console import Console


def plain_console() -> Console:
    """Return a console that prints names as they are: brackets and colons in them are no markup."""
    return Console(markup=False, emoji=False)
