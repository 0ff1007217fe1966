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
from connectfour.players.encoded import EncodedPlayer
from connectfour.rehearsal.level_game import Agent, LevelGame


@dataclass(frozen=True)
class OneFails(LevelGame):
    """A game in which the agent ``broken`` always raises, hangs or dies."""

    fault: Literal["raise", "hang", "die"] = "raise"

    def build(self, encoded: EncodedPlayer) -> Agent:
        """Build an agent."""
        name, level = json.loads(encoded.data)
        return Agent(name, level, misbehavior=_FAULTS[self.fault] if name == "broken" else None)


@dataclass(frozen=True)
class WaitingGame(LevelGame):
    """A game that waits in the middle of a ranking, so that what happens there does not depend on speed.

    Games after the tenth wait for the file ``go`` in ``folder``. While a Ray worker waits, a file there has its process
    id as its name.
    """

    folder: str = ""

    def play(self, players: Any, names: Any, games: Any, *args: Any) -> list[GameRecord]:
        """Play, or wait first."""
        go, waiting = Path(self.folder, "go"), Path(self.folder, str(os.getppid()))
        if games[0].id > 10 and not go.exists():
            waiting.touch()
            while not go.exists():
                time.sleep(0.05)
            waiting.unlink()
        return super().play(players, names, games, *args)


def _raise(rng: np.random.Generator) -> None:
    raise RuntimeError("broken")


def _hang(rng: np.random.Generator) -> None:
    time.sleep(3600)


def _die(rng: np.random.Generator) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


_FAULTS = {"raise": _raise, "hang": _hang, "die": _die}
