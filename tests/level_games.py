"""Games with players that fail or are slow, in a module that a sandbox imports quickly."""

from __future__ import annotations

import json
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from connectfour.games.connect_four.bitboard import Moves
from connectfour.games.observation import Observation
from connectfour.matches.arena import BoardGame
from connectfour.matches.records import GameRecord
from connectfour.players.contract import Player
from connectfour.players.encoded import EncodedPlayer
from connectfour.rehearsal.level_game import Agent, LevelGame
from heuristics import State


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


@dataclass(frozen=True)
class Paced(BoardGame):
    """Connect Four in which players take their time for each of their plies: seconds by the hash of the player."""

    pace: tuple[tuple[str, float], ...] = ()

    def build(self, encoded: EncodedPlayer) -> Player:
        """Build a player with its pace."""
        return _PacedPlayer(super().build(encoded), dict(self.pace)[encoded.sha256])


@dataclass(frozen=True)
class _PacedPlayer:
    player: Player
    seconds: float

    @property
    def name(self) -> str:
        return self.player.name

    def initial_state(self, boards: int) -> State:
        return self.player.initial_state(boards)

    def act(self, observation: Observation, state: State, rng: np.random.Generator) -> tuple[Moves, State]:
        time.sleep(self.seconds)
        return self.player.act(observation, state, rng)


def _raise(rng: np.random.Generator) -> None:
    raise RuntimeError("broken")


def _hang(rng: np.random.Generator) -> None:
    time.sleep(3600)


def _die(rng: np.random.Generator) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


_FAULTS = {"raise": _raise, "hang": _hang, "die": _die}
