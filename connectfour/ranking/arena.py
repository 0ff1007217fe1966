"""Plays a batch of games between two players in lockstep: one call per player and ply, whatever the number of games."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from connectfour.game.bitboard import Boards, Outcome
from connectfour.game.openings import random_openings
from connectfour.players.player import Player


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


def play_games(first: Player, second: Player, boards: Boards, rng: np.random.Generator) -> NDArray[np.int8]:
    """Play ``boards`` to the end; ``first`` has the seat that moves first from the empty board.

    Returns:
        The result of each game seen by ``first``: 1 won, 0 drawn, -1 lost, (N,) int8. An illegal move loses.
    """
    players = (first, second)
    states = [player.initial_state(len(boards)) for player in players]
    results = np.zeros(len(boards), dtype=np.int8)
    alive = np.arange(len(boards))
    while len(alive):
        columns = np.zeros(len(alive), dtype=np.int64)
        seats = boards.plies % 2
        for seat, player in enumerate(players):
            here = np.flatnonzero(seats == seat)
            if len(here):
                turn = boards[here]
                columns[here], states[seat][alive[here]] = player.act(*turn.observe(), states[seat][alive[here]], rng)
        outcome = boards.play(columns)
        mover_gain = (outcome == Outcome.WIN).astype(np.int8) - (outcome == Outcome.ILLEGAL)
        results[alive] = np.where(seats == 0, mover_gain, -mover_gain)
        going = ~boards.over
        alive, boards = alive[going], boards[going]
    return results


def play_match(
    player: Player, opponent: Player, games: int, *, seed: int = 0, opening_plies: int = 0
) -> tuple[Score, Score]:
    """Play ``games`` games, half from each seat (the odd one first), and return ``player``'s scores by its seat.

    Each pair of games with swapped seats starts from the same random opening of ``opening_plies`` plies.
    """
    rng = np.random.default_rng(seed)
    openings = random_openings(np.full((games + 1) // 2, opening_plies), rng)
    as_first = play_games(player, opponent, openings[:], rng)
    as_second = -play_games(opponent, player, openings[: games // 2], rng)
    return _score(as_first), _score(as_second)


def _score(results: NDArray[np.int8]) -> Score:
    return Score(int((results == 1).sum()), int((results == 0).sum()), int((results == -1).sum()))
