"""A noisy game with a known true order, played by agents that may fail: the test bed for rankings.

Agents have levels. In a game, an agent's performance is its level plus noise: the better performance wins, and a small
gap is a draw. The closer the levels, the less often the stronger agent wins. Errors are injected at given rates.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from connectfour.games.observation import Observation
from connectfour.games.registry import make_game
from connectfour.games.result import Result
from connectfour.matches.arena import NoteMover
from connectfour.matches.records import Fault, GameRecord, GameSpec
from connectfour.matches.referee import ask
from connectfour.players.contract import Player
from connectfour.players.encoded import EncodedPlayer
from heuristics import State

LEVELS = 100.0
_NOISE = 2.5
_DRAW_MARGIN = 0.25
_ILLEGAL = make_game().actions - 1
_BOARD = make_game().boards(1).observe()

Misbehavior = Callable[[np.random.Generator], Any]
"""What an agent does instead of answering with an action."""

INVALID_ANSWERS: tuple[Any, ...] = ("", -10, 0.5, {}, float("nan"))


@dataclass(frozen=True)
class ErrorRates:
    """Probabilities that a game meets an error.

    Attributes:
        error: the machinery around the players raises; the game is retried.
        invalid: a player answers with nonsense, plays an illegal action, or raises.
        crash: a player takes its process down.
        hang: a player does not answer.
        lost: the worker that plays the game is lost.
        slow: both players take most of their time, though less than all of it; nobody is to blame.
    """

    error: float = 0.0
    invalid: float = 0.0
    crash: float = 0.0
    hang: float = 0.0
    lost: float = 0.0
    slow: float = 0.0


@dataclass(frozen=True)
class LevelGame:
    """The noisy game, with the interface of a game that can be ranked.

    Attributes:
        rates: how often games meet errors.
        slow_seconds: how long each player takes in a slow game.
    """

    rates: ErrorRates
    slow_seconds: float = field(default=0.0, kw_only=True)

    def describe(self) -> Mapping[str, Any]:
        """Return the game's name and its faults."""
        return {"game": "levels", "rates": asdict(self.rates), "slow_seconds": self.slow_seconds}

    def build(self, encoded: EncodedPlayer) -> Player:
        """Build an agent."""
        return Agent(*json.loads(encoded.data))

    def play(
        self,
        players: tuple[Player, Player],
        names: tuple[str, str],
        games: Sequence[GameSpec],
        rng: np.random.Generator,
        note_mover: NoteMover,
    ) -> list[GameRecord]:
        """Play ``games`` between two agents."""
        return [self._play_game(players, names, game, rng, note_mover) for game in games]

    def _play_game(
        self,
        players: tuple[Player, Player],
        names: tuple[str, str],
        game: GameSpec,
        rng: np.random.Generator,
        note_mover: NoteMover,
    ) -> GameRecord:
        start = time.perf_counter()
        if rng.random() < self.rates.error:
            return GameRecord.of(game, "infrastructure", None, detail="injected")
        if rng.random() < self.rates.lost:
            os.kill(os.getppid(), signal.SIGKILL)
            time.sleep(60)  # until the system ends this process as well
        drawn = rng.random()
        misbehavior, culprit = _choose_misbehavior(self.rates, drawn, rng), (game.first, game.second)[rng.integers(2)]
        pause = self.slow_seconds if drawn >= 1 - self.rates.slow else 0.0
        performance = {}
        for name in (game.first, game.second):
            agent = players[names.index(name)]
            assert isinstance(agent, Agent)  # noqa: S101  # only agents play this game
            agent = replace(
                agent, misbehavior=(misbehavior if name == culprit else None) or agent.misbehavior, pause=pause
            )
            note_mover(names.index(name))
            answer = ask(agent, _BOARD, np.zeros((1, 0), dtype=np.int64), rng)
            note_mover(None)
            fault = answer.faults.get(0)
            if fault is None and answer.actions[0] == _ILLEGAL:
                fault = Fault("illegal", f"{_ILLEGAL + 1} is not legal")
            if fault:
                return GameRecord.lost(game, name, fault)
            performance[name] = agent.level + rng.normal(0, _NOISE / np.sqrt(2))
        ahead = performance[game.first] - performance[game.second]
        result = Result.DRAW if abs(ahead) < _DRAW_MARGIN else Result.of(ahead)
        seconds = round(time.perf_counter() - start, 6)
        return GameRecord.of(game, "draw" if result is Result.DRAW else "win", result, seconds=seconds)


@dataclass(frozen=True)
class Agent:
    """A player with a known level; the actions it plays are meaningless.

    Attributes:
        name: unique in a ranking.
        level: how well it plays, from 0 to 100.
        misbehavior: what it does instead of answering.
        pause: seconds that it takes before it does anything.
    """

    name: str
    level: float
    misbehavior: Misbehavior | None = None
    pause: float = 0.0

    def encoded(self) -> EncodedPlayer:
        """Return the agent as an encoded player."""
        return EncodedPlayer(self.name, "agent", json.dumps([self.name, self.level]).encode())

    def initial_state(self, boards: int) -> State:
        """Return an empty memory."""
        return np.zeros((boards, 0), dtype=np.int64)

    def act(self, observation: Observation, state: State, rng: np.random.Generator) -> tuple[Any, State]:
        """Play the first action, or misbehave."""
        time.sleep(self.pause)
        if self.misbehavior:
            return self.misbehavior(rng), state
        return np.zeros(len(observation), dtype=np.int64), state


def _choose_misbehavior(rates: ErrorRates, drawn: float, rng: np.random.Generator) -> Misbehavior | None:
    """Return how one of a game's players misbehaves, if it does; ``drawn`` is uniform in [0, 1)."""
    drawn -= rates.hang
    if drawn < 0:
        return _hang
    if drawn < rates.crash:
        return _die
    if drawn < rates.crash + rates.invalid:
        choices = (_answer_nonsense, _play_illegal_action, _raise)
        return choices[rng.choice(len(choices), p=(0.6, 0.2, 0.2))]
    return None


def _hang(rng: np.random.Generator) -> Any:
    while True:
        time.sleep(3600)


def _answer_nonsense(rng: np.random.Generator) -> Any:
    answer = INVALID_ANSWERS[rng.integers(len(INVALID_ANSWERS))]
    return np.array([answer]) if isinstance(answer, int | float) else answer


def _play_illegal_action(rng: np.random.Generator) -> Any:
    return np.array([_ILLEGAL])


def _raise(rng: np.random.Generator) -> Any:
    raise RuntimeError("injected")


def _die(rng: np.random.Generator) -> Any:
    os._exit(3)


def pairwise_accuracy(order: Sequence[str], levels: Mapping[str, float]) -> float:
    """Return the share of pairs that ``order``, the strongest first, has in the right order."""
    pairs = [(better, worse) for row, better in enumerate(order) for worse in order[row + 1 :]]
    return sum(levels[better] > levels[worse] for better, worse in pairs) / len(pairs)


def make_agents(count: int, seed: int) -> list[Agent]:
    """Return agents with levels drawn uniformly from [0, 100); the noise of a game is 2.5."""
    rng = np.random.default_rng((seed, count))
    width = len(str(count))
    return [Agent(f"agent_{number:0{width}d}", float(rng.uniform(0, LEVELS))) for number in range(1, count + 1)]
