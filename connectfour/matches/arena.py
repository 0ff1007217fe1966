"""Plays a batch of games between two players in lockstep: one call per player and ply, whatever the number of games."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from connectfour.games.connect_four.bitboard import CELLS, Boards, Outcome, gain_of_mover
from connectfour.games.connect_four.notation import format_moves
from connectfour.games.connect_four.openings import random_openings
from connectfour.matches.records import GameRecord, GameSpec, Termination
from connectfour.matches.referee import ask
from connectfour.players.contract import Player
from connectfour.players.names import build_player
from connectfour.players.packed import PackedPlayer

Mover = Callable[[int | None], None]
"""Is told whose code runs: the index of a player, or None."""


@dataclass(frozen=True)
class Score:
    """Games as one player saw them."""

    wins: int
    draws: int
    losses: int

    @property
    def games(self) -> int:
        """How many games there were."""
        return self.wins + self.draws + self.losses

    @property
    def points(self) -> float:
        """Wins, a draw being half of one."""
        return self.wins + self.draws / 2

    def __add__(self, other: Score) -> Score:
        """Add two scores of the same player."""
        return Score(self.wins + other.wins, self.draws + other.draws, self.losses + other.losses)


@dataclass(frozen=True)
class Played:
    """N games to their end.

    Attributes:
        results: seen by who moved first from the empty board: 1 won, 0 drawn, -1 lost; (N,) int8.
        columns: the moves after the position that a game began from, (N, 42) int8, -1 after the end.
        faults: how a player ended a game other than by the rules, and what it did, by row.
    """

    results: NDArray[np.int8]
    columns: NDArray[np.int8]
    faults: dict[int, tuple[Termination, str]]


def play_games(
    players: tuple[Player, Player],
    boards: Boards,
    leads: NDArray[np.integer],
    rng: np.random.Generator,
    tell_mover: Mover = lambda _: None,
) -> Played:
    """Play ``boards`` to the end.

    Args:
        players: the two players.
        boards: N positions, whose games are not over.
        leads: index (N,) of the player who has the seat that moves first from the empty board.
        rng: source of chance.
        tell_mover: told before and after each call of a player.
    """
    states = []
    for index, player in enumerate(players):
        tell_mover(index)
        states.append(player.initial_state(len(boards)))
    tell_mover(None)
    played = Played(np.zeros(len(boards), np.int8), np.full((len(boards), CELLS), -1, np.int8), {})
    alive = np.arange(len(boards))
    ply = 0
    while len(alive):
        columns = np.zeros(len(alive), dtype=np.int64)
        seats = boards.seat
        movers = (leads[alive] + seats) % 2
        given_up = np.zeros(len(alive), dtype=np.bool_)
        for index, player in enumerate(players):
            here = np.flatnonzero(movers == index)
            if not len(here):
                continue
            tell_mover(index)
            answer = ask(player, boards[here].observe(), states[index][alive[here]], rng)
            tell_mover(None)
            columns[here], states[index][alive[here]] = answer.columns, answer.state
            for row, fault in answer.faults.items():
                given_up[here[row]] = True
                played.faults[int(alive[here[row]])] = fault
        outcome = boards.play(columns)
        for row in np.flatnonzero((outcome == Outcome.ILLEGAL) & ~given_up).tolist():
            played.faults[int(alive[row])] = ("illegal", f"column {columns[row] + 1} is full")
        outcome[given_up] = boards.outcome[given_up] = Outcome.ILLEGAL
        moved = np.flatnonzero(outcome != Outcome.ILLEGAL)
        played.columns[alive[moved], ply] = columns[moved]
        gain = gain_of_mover(outcome)
        played.results[alive] = np.where(seats == 0, gain, -gain)
        going = ~boards.over
        alive, boards = alive[going], boards[going]
        ply += 1
    return played


def play_match(
    player: Player, opponent: Player, games: int, *, seed: int = 0, opening_plies: int = 0
) -> tuple[Score, Score]:
    """Play ``games`` games, half from each seat (the odd one first), and return ``player``'s scores by its seat.

    Each pair of games with swapped seats starts from the same random opening of ``opening_plies`` plies.
    """
    rng = np.random.default_rng(seed)
    openings = random_openings(np.full((games + 1) // 2, opening_plies), rng)
    number = np.arange(games)
    results = play_games((player, opponent), openings[number // 2], number % 2, rng).results
    return _score(results[::2]), _score(-results[1::2])


def _score(results: NDArray[np.int8]) -> Score:
    return Score(int((results == 1).sum()), int((results == 0).sum()), int((results == -1).sum()))


@dataclass(frozen=True)
class ConnectFour:
    """Connect Four as what a ranking plays; ``greedy`` networks play their most probable column."""

    greedy: bool = True

    def build(self, packed: PackedPlayer) -> Player:
        """Build a player."""
        return build_player(packed, greedy=self.greedy, fast=True)

    def play(
        self,
        players: tuple[Player, Player],
        names: tuple[str, str],
        games: Sequence[GameSpec],
        rng: np.random.Generator,
        tell_mover: Mover,
    ) -> list[GameRecord]:
        """Play ``games`` between ``players``, who are called ``names``; their openings are equally long."""
        start = time.perf_counter()
        boards = Boards(len(games))
        openings = np.array([list(map(int, game.opening)) for game in games], dtype=np.int64)
        for columns in openings.T:
            boards.play(columns - 1)
        leads = np.array([names.index(game.first) for game in games])
        played = play_games(players, boards, leads, rng, tell_mover)
        seconds = round((time.perf_counter() - start) / len(games), 5)
        records = []
        for row, game in enumerate(games):
            result = int(played.results[row])
            by_rules: tuple[Termination, str] = ("win" if result else "draw", "")
            termination, detail = played.faults.get(row, by_rules)
            columns = played.columns[row]
            moves = game.opening + format_moves(columns[columns >= 0])
            records.append(GameRecord.of(game, termination, result, moves=moves, seconds=seconds, detail=detail))
        return records
