"""What an algorithm has, it holds: no class of ours hides another's method."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from connectfour.apex.actor_group import ActorGroup
from connectfour.apex.algorithm import Apex
from connectfour.apex.replay.replay import Replay
from connectfour.learning.apex.algorithm import SelfPlayApex
from connectfour.learning.league import League
from connectfour.learning.ppo.algorithm import SelfPlayPPO
from connectfour.learning.sampling import LockstepSampler
from connectfour.rllib.part import Part


def _defined(kind: type) -> set[str]:
    """Return the methods and properties that a class itself defines."""
    kinds = (property, classmethod, staticmethod)
    return {
        name
        for name, value in vars(kind).items()
        if (inspect.isfunction(value) or isinstance(value, kinds))
        and not name.startswith("__")
        and not getattr(value, "__isabstractmethod__", False)
    }


@pytest.mark.parametrize("algorithm", [SelfPlayPPO, SelfPlayApex, Apex])
def test_no_method_is_defined_by_two_of_our_classes(algorithm: type) -> None:
    """One would hide the other, as a no-op once hid what Ape-X does before a restore."""
    owners: dict[str, list[str]] = {}
    for kind in algorithm.__mro__:
        if kind.__module__.startswith("connectfour."):
            for name in _defined(kind):
                owners.setdefault(name, []).append(kind.__qualname__)
    assert owners["training_step"]
    assert {name: classes for name, classes in owners.items() if len(classes) > 1} == {}


@pytest.mark.parametrize("part", [League, Replay, ActorGroup, LockstepSampler])
def test_a_part_is_a_part_alone(part: type) -> None:
    """It has no second parent, and its name is its own."""
    assert part.__mro__ == (part, Part, object)
    assert part.name  # type: ignore[attr-defined]


def test_parts_are_named_apart() -> None:
    """Their states share a checkpoint."""
    parts: list[Any] = [League, Replay, ActorGroup, LockstepSampler]
    assert len({part.name for part in parts}) == len(parts)
