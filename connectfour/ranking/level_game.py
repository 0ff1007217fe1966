"""A game of which the truth is known, and agents that fail: what a ranking is rehearsed on.

Agents have levels. In a game both perform with noise; the better performance wins, a close one is a draw. So the better
agent wins more often, and less often the nearer they are. Errors of every kind are injected at given rates.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from connectfour.games.connect_four.bitboard import Boards
from connectfour.games.observation import Observation
from connectfour.matches.arena import Mover
from connectfour.matches.records import GameRecord, GameSpec, Termination
from connectfour.matches.referee import ask
from connectfour.players.contract import Player
from connectfour.players.packed import PackedPlayer
from heuristics import State

LEVELS = 100.0
_NOISE = 2.5
_DRAW_MARGIN = 0.25
_FULL_COLUMN = 6

Fault = Callable[[np.random.Generator], Any]
"""What an agent does instead of answering with a column."""

INVALID_ANSWERS: tuple[Any, ...] = ("", -10, 0.5, {}, float("nan"))


@dataclass(frozen=True)
class ErrorRates:
    """How often a game meets an error.

    Attributes:
        error: the machinery around the players raises; the game is played again.
        invalid: a player answers with nonsense, plays a full column, or raises.
        crash: a player takes its process down.
        hang: a player does not answer.
        lost: the worker that plays the game is lost.
    """

    error: float = 0.0
    invalid: float = 0.0
    crash: float = 0.0
    hang: float = 0.0
    lost: float = 0.0


@dataclass(frozen=True)
class LevelGame:
    """The noisy game, as what a ranking plays."""

    rates: ErrorRates

    def build(self, packed: PackedPlayer) -> Player:
        """Build an agent."""
        return Agent(*json.loads(packed.data))

    def play(
        self,
        players: tuple[Player, Player],
        names: tuple[str, str],
        games: Sequence[GameSpec],
        rng: np.random.Generator,
        tell_mover: Mover,
    ) -> list[GameRecord]:
        """Play ``games`` between two agents."""
        return [self._one(players, names, game, rng, tell_mover) for game in games]

    def _one(
        self,
        players: tuple[Player, Player],
        names: tuple[str, str],
        game: GameSpec,
        rng: np.random.Generator,
        tell_mover: Mover,
    ) -> GameRecord:
        start = time.perf_counter()
        if rng.random() < self.rates.error:
            return GameRecord.of(game, "infrastructure", None, detail="injected")
        if rng.random() < self.rates.lost:
            os.kill(os.getppid(), signal.SIGKILL)
            time.sleep(60)  # until the system ends this process, too
        fault, culprit = _fault(self.rates, rng), (game.first, game.second)[rng.integers(2)]
        performance = {}
        for name in (game.first, game.second):
            agent = players[names.index(name)]
            assert isinstance(agent, Agent)  # noqa: S101  # nobody else plays this game
            agent = replace(agent, fault=(fault if name == culprit else None) or agent.fault)
            tell_mover(names.index(name))
            answer = ask(agent, _BOARD, np.zeros((1, 0), dtype=np.int64), rng)
            tell_mover(None)
            termination, detail = answer.faults.get(0, ("illegal", "column 7 is full"))
            if answer.faults or answer.columns[0] == _FULL_COLUMN:
                return GameRecord.of(game, termination, -1 if name == game.first else 1, detail=detail)
            performance[name] = agent.level + rng.normal(0, _NOISE / np.sqrt(2))
        ahead = performance[game.first] - performance[game.second]
        result = 0 if abs(ahead) < _DRAW_MARGIN else 1 if ahead > 0 else -1
        by_rules: Termination = "win" if result else "draw"
        return GameRecord.of(game, by_rules, result, seconds=round(time.perf_counter() - start, 6))


_BOARD = Boards(1).observe()


@dataclass(frozen=True)
class Agent:
    """A player of a known level; its moves mean nothing, but for ``fault``, which takes their place."""

    name: str
    level: float
    fault: Fault | None = None

    def packed(self) -> PackedPlayer:
        """Return it ready to travel."""
        return PackedPlayer(self.name, "agent", json.dumps([self.name, self.level]).encode())

    def initial_state(self, boards: int) -> State:
        """Return no memory."""
        return np.zeros((boards, 0), dtype=np.int64)

    def act(self, observation: Observation, state: State, rng: np.random.Generator) -> tuple[Any, State]:
        """Play the first column, or fail."""
        if self.fault:
            return self.fault(rng), state
        return np.zeros(len(observation), dtype=np.int64), state


def _fault(rates: ErrorRates, rng: np.random.Generator) -> Fault | None:
    """Draw whether one of a game's players fails, and how."""
    drawn = rng.random() - rates.hang
    if drawn < 0:
        return _hang
    if drawn < rates.crash:
        return _die
    if drawn < rates.crash + rates.invalid:
        faults = (_answer_nonsense, _play_full_column, _raise)
        return faults[rng.choice(len(faults), p=(0.6, 0.2, 0.2))]
    return None


def _hang(rng: np.random.Generator) -> Any:
    while True:
        time.sleep(3600)


def _answer_nonsense(rng: np.random.Generator) -> Any:
    answer = INVALID_ANSWERS[rng.integers(len(INVALID_ANSWERS))]
    return np.array([answer]) if isinstance(answer, int | float) else answer


def _play_full_column(rng: np.random.Generator) -> Any:
    return np.array([_FULL_COLUMN])


def _raise(rng: np.random.Generator) -> Any:
    raise RuntimeError("injected")


def _die(rng: np.random.Generator) -> Any:
    os._exit(3)


def pairwise_accuracy(order: Sequence[str], levels: dict[str, float]) -> float:
    """Return the share of pairs that ``order``, the strongest first, has the right way round."""
    pairs = [(better, worse) for row, better in enumerate(order) for worse in order[row + 1 :]]
    return sum(levels[better] > levels[worse] for better, worse in pairs) / len(pairs)


def make_agents(count: int, seed: int) -> list[Agent]:
    """Return agents with levels drawn uniformly from [0, 100); a game's noise is 2.5."""
    rng = np.random.default_rng((seed, count))
    width = len(str(count))
    return [Agent(f"agent_{number:0{width}d}", float(rng.uniform(0, LEVELS))) for number in range(1, count + 1)]
