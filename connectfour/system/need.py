"""What processes ask Ray for, and amounts in words; this loads no Ray."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Amounts = Mapping[str, float]
"""Amounts by Ray's name of the resource: CPU, GPU, memory in bytes, and tags."""

_UNITS = {"CPU": "core", "GPU": "GPU"}


def quantity(name: str, amount: float) -> str:
    """Return an amount of a resource in words: ``3 cores``, ``1.5 GB of memory``, ``2 large``."""
    if name in _UNITS:
        return count_of(amount, _UNITS[name])
    return f"{number(name, amount)} {'GB of memory' if name == 'memory' else name}"


def number(name: str, amount: float) -> str:
    """Return an amount of a resource; memory in GB."""
    return f"{amount / 1e9:,.3g}" if name == "memory" else f"{amount:,g}"


def count_of(amount: float, word: str) -> str:
    """Return a number with its noun: ``1 node``, ``2 nodes``."""
    return f"{amount:,g} {word}{'' if amount == 1 else 's'}"


@dataclass(frozen=True)
class Need:
    """What some processes of the same kind ask for.

    Attributes:
        who: the process, such as ``env runner``.
        setting: the section of the settings that says so.
        amounts: what each of them asks for.
        count: how many there are.
    """

    who: str
    setting: str
    amounts: Amounts
    count: int = 1

    @property
    def each(self) -> str:
        """The process with its article."""
        return f"the {self.who}" if self.count == 1 else f"each {self.who}"

    @property
    def all(self) -> str:
        """The processes with their number."""
        return count_of(self.count, self.who)
