"""Variants of the game of known levels, in a module that a sandbox imports quickly."""

from __future__ import annotations

import json
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from connectfour.matches.records import GameRecord
from connectfour.players.packed import PackedPlayer
from connectfour.ranking.level_game import Agent, LevelGame


@dataclass(frozen=True)
class OneFails(LevelGame):
    """A game in which the agent ``broken`` always raises, hangs or dies."""

    fault: Literal["raise", "hang", "die"] = "raise"

    def build(self, packed: PackedPlayer) -> Agent:
        """Build an agent."""
        name, level = json.loads(packed.data)
        return Agent(name, level, misbehavior=_FAULTS[self.fault] if name == "broken" else None)


@dataclass(frozen=True)
class SlowGame(LevelGame):
    """A game that takes a while, and shows in ``folder`` which Ray workers are playing it."""

    folder: str = ""

    def play(self, *args: Any) -> list[GameRecord]:
        """Play after a moment, during which a file has the process id of the worker as its name."""
        playing = Path(self.folder, str(os.getppid()))
        playing.touch()
        time.sleep(0.5)
        playing.unlink()
        return super().play(*args)


def _raise(rng: np.random.Generator) -> None:
    raise RuntimeError("broken")


def _hang(rng: np.random.Generator) -> None:
    time.sleep(3600)


def _die(rng: np.random.Generator) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


_FAULTS = {"raise": _raise, "hang": _hang, "die": _die}
