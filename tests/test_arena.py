"""Games in lockstep."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from connectfour.games.connect_four.bitboard import Boards, Columns
from connectfour.games.connect_four.openings import random_openings
from connectfour.matches.arena import Score, play_games, play_match
from connectfour.players.names import parse_player
from heuristics import State


class Fixed:
    """Plays a fixed sequence of columns, and remembers how far it is."""

    def __init__(self, columns: str) -> None:
        self.name = columns
        self._columns = np.array([int(column) - 1 for column in columns])

    def initial_state(self, boards: int) -> State:
        """Start at the first column."""
        return np.zeros((boards, 1), dtype=np.int64)

    def act(
        self,
        observation: NDArray[np.integer],
        action_mask: NDArray[np.integer],
        state: State,
        rng: np.random.Generator,
    ) -> tuple[Columns, State]:
        """Play the next one."""
        rng.random(len(observation))
        return self._columns[state[:, 0]], state + 1


def one_game(first: str, second: str) -> int:
    """Return the result of a fixed game."""
    rng = np.random.default_rng(0)
    players = Fixed(first), Fixed(second)
    return int(play_games(players, Boards(1), np.zeros(1, dtype=np.int64), rng).results[0])


def test_results_are_seen_by_the_first_player() -> None:
    """A win of either side, and an illegal move of either side."""
    assert one_game("1111", "222") == 1
    assert one_game("1234"[:3] + "5", "7777") == -1
    assert one_game("1111111", "1111111") == -1, "the seventh disc in column 1 is the first player's"
    assert one_game("2111", "1118") == 1, "8 is no column"


def test_a_match_is_balanced_and_seen_by_the_player() -> None:
    """Odd games go to the first seat; the tactical player wins from both."""
    first, second = play_match(parse_player("heuristic:tactical"), parse_player("heuristic:random"), 101, seed=1)
    assert (first.games, second.games) == (51, 50)
    assert first.wins > 45
    assert second.wins > 45


def test_a_match_is_seeded() -> None:
    """The same seed gives the same games, another one others."""
    players = parse_player("heuristic:random"), parse_player("heuristic:random")
    assert play_match(*players, 200, seed=3) == play_match(*players, 200, seed=3)
    assert play_match(*players, 200, seed=3) != play_match(*players, 200, seed=4)


def test_openings_have_their_length_and_go_on() -> None:
    """Thirty random plies end many games; those are drawn again."""
    boards = random_openings(np.full(300, 30), np.random.default_rng(0))
    assert (boards.plies == 30).all()
    assert not boards.over.any()
    assert len(set(boards.occupied.tolist())) > 250


def test_points() -> None:
    """A draw is half a win."""
    assert (Score(1, 1, 0) + Score(0, 2, 3)).points == 2.5
