"""Variants of the game of known levels; a module that a sandbox imports in no time."""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np

from connectfour.players.player import PackedPlayer
from connectfour.ranking.level_game import Agent, LevelGame
from connectfour.ranking.records import GameRecord


class OneFails(LevelGame):
    """A game in which the agent ``broken`` always raises."""

    def build(self, packed: PackedPlayer) -> Agent:
        """Build an agent."""
        name, level = json.loads(packed.data)
        return Agent(name, level, fault=_raise if name == "broken" else None)


class SlowGame(LevelGame):
    """A game that takes a while, so that all cores are busy at any time."""

    def play(self, *args: Any) -> list[GameRecord]:
        """Play after a moment."""
        time.sleep(0.1)
        return super().play(*args)


def _raise(rng: np.random.Generator) -> None:
    raise RuntimeError("broken")
