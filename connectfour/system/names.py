"""Objects by name, for tables whose entries live in rooms above."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def load_name(name: str) -> Any:
    """Import ``module:attribute`` and return the attribute.

    Raises:
        ImportError, AttributeError: there is no such module or attribute.
    """
    module, _, attribute = name.partition(":")
    return getattr(import_module(module), attribute)
