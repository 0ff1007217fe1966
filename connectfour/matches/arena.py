"""Plays games between two players in lockstep: one call per player and ply, however many games there are."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from connectfour.games.connect_four.bitboard import Boards, Moves, Outcome, mover_reward
from connectfour.games.connect_four.notation import format_moves
from connectfour.games.connect_four.openings import random_opening_moves
from connectfour.games.connect_four.packing import MAX_PLIES
from connectfour.games.result import Result, Score, SeatScores
from connectfour.matches.records import Fault, GameRecord, GameSpec, Termination
from connectfour.matches.referee import Answer, ask
from connectfour.players.contract import Player
from connectfour.players.encoded import EncodedPlayer
from connectfour.players.names import build_player

NoteMover = Callable[[int | None], None]
"""Called with a player's index before its code runs, and with None afterward."""

_NO_COLUMN = -1


@dataclass(frozen=True)
class Played:
    """N games that have ended.

    Attributes:
        results: the values of ``Result`` for the player who moved first from the empty board, (N,) int8.
        columns: the moves after the position in which a game began, (N, 42) int8; -1 after the end.
        faults: by row, the faults that ended games.
    """

    results: NDArray[np.int8]
    columns: NDArray[np.int8]
    faults: dict[int, Fault]


class _Lockstep:
    """N games that advance together, and the boards of those that have not ended.

    Attributes:
        played: what happened so far.
        rows: the games that have not ended, as rows of ``played``.
        boards: their positions, in the same order.
    """

    def __init__(
        self, players: tuple[Player, Player], boards: Boards, leads: NDArray[np.integer], note_mover: NoteMover
    ) -> None:
        """Begin the games; arguments as in ``play_games``."""
        count = len(boards)
        self._players, self._leads, self._note_mover = players, leads, note_mover
        self._states = []
        for index, player in enumerate(players):
            note_mover(index)
            self._states.append(player.initial_state(count))
            note_mover(None)
        self.played = Played(np.zeros(count, np.int8), np.full((count, MAX_PLIES), _NO_COLUMN, np.int8), {})
        self.rows, self.boards = np.arange(count), boards[:]
        self._ply = 0

    def ask_players(self, rng: np.random.Generator) -> Moves:
        """Return the next column of each game; -1 where the player to move gave a faulty answer, which is recorded."""
        movers = (self._leads[self.rows] + self.boards.seat) % 2
        columns = np.zeros(len(self.rows), dtype=np.int64)
        for index in range(len(self._players)):
            here = np.flatnonzero(movers == index)
            if len(here):
                answer = self._ask(index, here, rng)
                columns[here] = answer.columns
                for row, fault in answer.faults.items():
                    columns[here[row]] = _NO_COLUMN
                    self.played.faults[int(self.rows[here[row]])] = fault
        return columns

    def _ask(self, index: int, here: NDArray[np.int64], rng: np.random.Generator) -> Answer:
        """Ask a player about the boards ``here``, and keep its memory."""
        rows = self.rows[here]
        observation, state = self.boards[here].observe(), self._states[index][rows]
        self._note_mover(index)
        answer = ask(self._players[index], observation, state, rng)
        self._note_mover(None)
        self._states[index][rows] = answer.state
        return answer

    def play(self, columns: Moves) -> None:
        """Play ``columns``, one per game, note what happens, and drop the games that end."""
        seats = self.boards.seat
        outcome = self.boards.play(columns)
        illegal = outcome == Outcome.ILLEGAL
        for row in np.flatnonzero(illegal & (columns != _NO_COLUMN)).tolist():
            self.played.faults[int(self.rows[row])] = Fault("illegal", f"column {columns[row] + 1} is full")
        self.played.columns[self.rows, self._ply] = np.where(illegal, _NO_COLUMN, columns)
        gain = mover_reward(outcome)
        self.played.results[self.rows] = np.where(seats == 0, gain, -gain)
        self._ply += 1
        going = ~self.boards.over
        self.rows, self.boards = self.rows[going], self.boards[going]


def play_games(
    players: tuple[Player, Player],
    boards: Boards,
    leads: NDArray[np.integer],
    rng: np.random.Generator,
    note_mover: NoteMover = lambda _: None,
) -> Played:
    """Play N games to their end.

    Args:
        players: the two players.
        boards: N positions, none of which is over.
        leads: index (N,) of the player in the seat that moves first from the empty board.
        rng: random number generator.
        note_mover: called with the index of the player whose code is about to run.
    """
    games = _Lockstep(players, boards, leads, note_mover)
    while len(games.rows):
        games.play(games.ask_players(rng))
    return games.played


@dataclass(frozen=True)
class Match:
    """The games of a match between two players; in every second one, the seats are swapped.

    Attributes:
        names: the players; the first of them moves first in the first game.
        openings: the random moves that begin each two games, (N, plies), 0-based.
        played: how the games went on.
    """

    names: tuple[str, str]
    openings: Moves
    played: Played

    @property
    def scores(self) -> SeatScores:
        """The score of the first player."""
        results = self.played.results
        return SeatScores(first=_score(results[::2]), second=_score(results[1::2]).reversed)

    def record(self, row: int) -> GameRecord:
        """Return a game with its moves; rows and ids count from 0."""
        first, second = self.names if row % 2 == 0 else self.names[::-1]
        game = GameSpec(row, first, second, format_moves(self.openings[row // 2]))
        return _record(game, self.played, row)


def play_match(
    player: Player, opponent: Player, games: int = 400, *, seed: int = 0, opening_plies: int = 0
) -> SeatScores:
    """Play ``games`` games, half of them from each seat, and return the score of ``player``.

    Args:
        player: moves first in the extra game if ``games`` is odd.
        opponent: the other player.
        games: number of games.
        seed: random seed.
        opening_plies: random plies before each game; two games with swapped seats share them.
    """
    return play_recorded_match(player, opponent, games, seed=seed, opening_plies=opening_plies).scores


def play_recorded_match(
    player: Player, opponent: Player, games: int = 400, *, seed: int = 0, opening_plies: int = 0
) -> Match:
    """Play the games of ``play_match``, and return them with their moves."""
    rng = np.random.default_rng(seed)
    openings = random_opening_moves((games + 1) // 2, opening_plies, rng)
    number = np.arange(games)
    boards = _boards_after(openings)[number // 2]
    played = play_games((player, opponent), boards, number % 2, rng)
    return Match((player.name, opponent.name), openings, played)


def _score(results: NDArray[np.int8]) -> Score:
    return Score(*(int((results == result).sum()) for result in (Result.WIN, Result.DRAW, Result.LOSS)))


@dataclass(frozen=True)
class ConnectFour:
    """Connect Four as the game of a ranking; ``greedy`` networks play their most probable column."""

    greedy: bool = True

    def build(self, encoded: EncodedPlayer) -> Player:
        """Build a player."""
        return build_player(encoded, greedy=self.greedy, fast=True)

    def play(
        self,
        players: tuple[Player, Player],
        names: tuple[str, str],
        games: Sequence[GameSpec],
        rng: np.random.Generator,
        note_mover: NoteMover,
    ) -> list[GameRecord]:
        """Play ``games`` between ``players`` with these ``names``; their openings have the same length."""
        start = time.perf_counter()
        leads = np.array([names.index(game.first) for game in games])
        openings = np.array([list(map(int, game.opening)) for game in games], dtype=np.int64) - 1
        played = play_games(players, _boards_after(openings), leads, rng, note_mover)
        seconds = round((time.perf_counter() - start) / len(games), 5)
        return [_record(game, played, row, seconds) for row, game in enumerate(games)]


def _boards_after(openings: Moves) -> Boards:
    """Return the positions (N,) after the moves (N, plies)."""
    boards = Boards(len(openings))
    for columns in openings.T:
        boards.play(columns)
    return boards


def _record(game: GameSpec, played: Played, row: int, seconds: float = 0.0) -> GameRecord:
    result = Result(int(played.results[row]))
    by_rules: Termination = "draw" if result is Result.DRAW else "win"
    termination, detail = played.faults.get(row, (by_rules, ""))
    columns = played.columns[row]
    moves = game.opening + format_moves(columns[columns != _NO_COLUMN])
    return GameRecord.of(game, termination, result, moves=moves, seconds=seconds, detail=detail)
