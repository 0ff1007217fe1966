"""``Request``: what was asked of a shard, so that it can be asked again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import ray


@dataclass(frozen=True)
class Request:
    """A call of a shard's method that is under way.

    Attributes:
        number: the shard's index.
        shard: its actor.
        method: the method's name.
        arguments: its arguments.
        answer: reference to what it returns.
    """

    number: int
    shard: Any
    method: str
    arguments: tuple[Any, ...]
    answer: ray.ObjectRef

    @classmethod
    def send(cls, number: int, shard: Any, method: str, *arguments: Any) -> Self:
        """Call ``method`` of shard ``number``."""
        return cls(number, shard, method, arguments, getattr(shard, method).remote(*arguments))

    def repeat(self) -> Self:
        """Ask the same again."""
        return self.send(self.number, self.shard, self.method, *self.arguments)
