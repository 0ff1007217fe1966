"""Plays games between two players in lockstep: one call per player and ply, however many games there are."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from connectfour.errors import ConfigError
from connectfour.games.contract import Actions, Boards, Game
from connectfour.games.moves import play_moves
from connectfour.games.openings import random_opening_moves
from connectfour.games.registry import make_game
from connectfour.games.result import Result, Score, SeatScores
from connectfour.games.trial import too_long
from connectfour.matches.records import Fault, GameRecord, GameSpec, Termination
from connectfour.matches.referee import Answer, ask
from connectfour.players.contract import Player
from connectfour.players.encoded import EncodedPlayer
from connectfour.players.names import build_player
from connectfour.settings.game import CONNECT_FOUR, GameSettings

NoteMover = Callable[[int | None], None]
"""Called with a player's index before its code runs, and with None afterward."""

_NO_ACTION = -1


@dataclass(frozen=True)
class Played:
    """N games that have ended.

    Attributes:
        results: the values of ``Result`` for the player in seat 0, (N,) int8.
        actions: the actions after the position in which a game began, (N, longest game) int32; -1 after the end.
        faults: by row, the faults that ended games.
    """

    results: NDArray[np.int8]
    actions: NDArray[np.int32]
    faults: dict[int, Fault]


class _Lockstep:
    """N games that advance together, and the boards of those that have not ended.

    Attributes:
        played: what happened so far.
        rows: the games that have not ended, as rows of ``played``.
        boards: their positions, in the same order.
    """

    def __init__(
        self,
        game: Game,
        players: tuple[Player, Player],
        boards: Boards,
        leads: NDArray[np.integer],
        note_mover: NoteMover,
    ) -> None:
        """Begin the games; arguments as in ``play_games``."""
        count = len(boards)
        self._game, self._players, self._leads, self._note_mover = game, players, leads, note_mover
        self._states = []
        for index, player in enumerate(players):
            note_mover(index)
            self._states.append(player.initial_state(count))
            note_mover(None)
        actions = np.full((count, game.max_plies), _NO_ACTION, np.int32)
        self.played = Played(np.zeros(count, np.int8), actions, {})
        self.rows, self.boards = np.arange(count), boards[:]
        self._ply = 0

    def ask_players(self, rng: np.random.Generator) -> Actions:
        """Return the next action of each game; -1 where the player to move gave a faulty answer, which is recorded."""
        movers = (self._leads[self.rows] + self.boards.seat) % 2
        actions = np.zeros(len(self.rows), dtype=np.int64)
        for index in range(len(self._players)):
            here = np.flatnonzero(movers == index)
            if len(here):
                answer = self._ask(index, here, rng)
                actions[here] = answer.actions
                for row, fault in answer.faults.items():
                    actions[here[row]] = _NO_ACTION
                    self.played.faults[int(self.rows[here[row]])] = fault
        return actions

    def _ask(self, index: int, here: NDArray[np.int64], rng: np.random.Generator) -> Answer:
        """Ask a player about the boards ``here``, and keep its memory."""
        rows = self.rows[here]
        observation, state = self.boards[here].observe(), self._states[index][rows]
        self._note_mover(index)
        answer = ask(self._players[index], observation, state, rng)
        self._note_mover(None)
        self._states[index][rows] = answer.state
        return answer

    def play(self, actions: Actions) -> None:
        """Play ``actions``, one per game, note what happens, and drop the games that end.

        Raises:
            GameError: games last longer than the game says.
        """
        if self._ply == self._game.max_plies:
            raise too_long(self._game)
        self._forfeit(actions)
        legal = actions != _NO_ACTION
        self.rows, self.boards, actions = self.rows[legal], self.boards[legal], actions[legal]
        self.boards.play(actions)
        self.played.actions[self.rows, self._ply] = actions
        self._ply += 1
        over = self.boards.over
        self.played.results[self.rows[over]] = np.sign(self.boards.returns[over, 0])
        self.rows, self.boards = self.rows[~over], self.boards[~over]

    def _forfeit(self, actions: Actions) -> None:
        """End the games in which an action is illegal or missing: whoever moves there loses."""
        chosen = np.where(actions == _NO_ACTION, 0, actions)
        illegal = (actions != _NO_ACTION) & ~self.boards.legal()[np.arange(len(actions)), chosen]
        for row in np.flatnonzero(illegal).tolist():
            detail = f"{self._game.action_name(int(actions[row]))} is not legal"
            self.played.faults[int(self.rows[row])] = Fault("illegal", detail)
        actions[illegal] = _NO_ACTION
        lost = actions == _NO_ACTION
        self.played.results[self.rows[lost]] = np.where(self.boards.seat[lost] == 0, Result.LOSS, Result.WIN)


def play_games(
    game: Game,
    players: tuple[Player, Player],
    boards: Boards,
    leads: NDArray[np.integer],
    rng: np.random.Generator,
    note_mover: NoteMover = lambda _: None,
) -> Played:
    """Play N games to their end.

    Args:
        game: the game.
        players: the two players.
        boards: N positions, none of which is over; for this call alone.
        leads: index (N,) of the player in seat 0.
        rng: random number generator.
        note_mover: called with the index of the player whose code is about to run.
    """
    games = _Lockstep(game, players, boards, leads, note_mover)
    while len(games.rows):
        games.play(games.ask_players(rng))
    return games.played


@dataclass(frozen=True)
class Match:
    """The games of a match between two players; in every second one, the seats are swapped.

    Attributes:
        game: the game.
        names: the players; the first of them has seat 0 in the first game.
        openings: the random actions that begin each two games, (N, plies).
        played: how the games went on.
    """

    game: Game
    names: tuple[str, str]
    openings: Actions
    played: Played

    @property
    def scores(self) -> SeatScores:
        """The score of the first player."""
        results = self.played.results
        return SeatScores(first=_score(results[::2]), second=_score(results[1::2]).reversed)

    def record(self, row: int) -> GameRecord:
        """Return a game with its moves; rows and ids count from 0."""
        first, second = self.names if row % 2 == 0 else self.names[::-1]
        opening = self.openings[row // 2]
        spec = GameSpec(row, first, second, self.game.format_actions(opening))
        return _record(self.game, spec, opening, self.played, row)


def play_match(
    player: Player,
    opponent: Player,
    games: int = 400,
    *,
    seed: int = 0,
    opening_plies: int = 0,
    game: Game | None = None,
) -> SeatScores:
    """Play ``games`` games, half of them from each seat, and return the score of ``player``.

    Args:
        player: has seat 0 in the extra game if ``games`` is odd.
        opponent: the other player.
        games: number of games.
        seed: random seed.
        opening_plies: random plies before each game; two games with swapped seats share them.
        game: the game; Connect Four by default.

    Raises:
        ConfigError: games never last as long as the openings, or chance plays along.
    """
    return play_recorded_match(player, opponent, games, seed=seed, opening_plies=opening_plies, game=game).scores


def play_recorded_match(
    player: Player,
    opponent: Player,
    games: int = 400,
    *,
    seed: int = 0,
    opening_plies: int = 0,
    game: Game | None = None,
) -> Match:
    """Play the games of ``play_match``, and return them with their moves."""
    game = game or make_game()
    check_openings(game, opening_plies)
    rng = np.random.default_rng(seed)
    game.seed(seed)
    openings = random_opening_moves(game, (games + 1) // 2, opening_plies, rng)
    number = np.arange(games)
    boards = play_moves(game, openings[number // 2])
    played = play_games(game, (player, opponent), boards, number % 2, rng)
    return Match(game, (player.name, opponent.name), openings, played)


def check_openings(game: Game, plies: int) -> None:
    """Refuse openings of a game with chance.

    Raises:
        ConfigError: a list of actions does not tell such a game.
    """
    if plies and game.has_chance:
        raise ConfigError(
            f"games of {game.name} cannot begin with {plies} random plies, because chance plays along: set opening "
            "plies to 0"
        )


def _score(results: NDArray[np.int8]) -> Score:
    return Score(*(int((results == result).sum()) for result in (Result.WIN, Result.DRAW, Result.LOSS)))


@dataclass(frozen=True)
class BoardGame:
    """A game as the rules of a ranking; ``greedy`` networks play their most probable action."""

    greedy: bool = True
    game: GameSettings = CONNECT_FOUR

    def describe(self) -> Mapping[str, Any]:
        """Return the game, its options, how networks play, and whether chance plays along."""
        chance = {"chance": True} if self.game.rules.has_chance else {}
        return {"game": self.game.name, "options": self.game.options, "greedy": self.greedy, **chance}

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
        start, game = time.perf_counter(), self.game.rules
        if game.has_chance:
            game.seed(int(rng.integers(2**31)))
        leads = np.array([names.index(each.first) for each in games])
        openings = [game.parse_actions(each.opening) for each in games]
        played = play_games(game, players, play_moves(game, openings), leads, rng, note_mover)
        seconds = round((time.perf_counter() - start) / len(games), 5)
        return [_record(game, spec, openings[row], played, row, seconds) for row, spec in enumerate(games)]


def _record(
    game: Game, spec: GameSpec, opening: Sequence[int] | Actions, played: Played, row: int, seconds: float = 0.0
) -> GameRecord:
    result = Result(int(played.results[row]))
    by_rules: Termination = "draw" if result is Result.DRAW else "win"
    termination, detail = played.faults.get(row, (by_rules, ""))
    actions = played.actions[row]
    moves = game.format_actions([*map(int, opening), *actions[actions != _NO_ACTION].tolist()])
    return GameRecord.of(spec, termination, result, moves=moves, seconds=seconds, detail=detail)
