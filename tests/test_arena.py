"""Games in lockstep."""

from __future__ import annotations

import numpy as np

from connectfour.games.connect_four.bitboard import Boards, Moves
from connectfour.games.observation import Observation
from connectfour.games.openings import random_openings
from connectfour.games.registry import make_game
from connectfour.games.result import Result, Score
from connectfour.matches.arena import play_games, play_match
from connectfour.players.names import parse_player
from heuristics import State


class Fixed:
    """Plays a fixed sequence of columns, and remembers its place in it."""

    def __init__(self, columns: str) -> None:
        self.name = columns
        self._columns = np.array([int(column) - 1 for column in columns])

    def initial_state(self, boards: int) -> State:
        """Start at the first column."""
        return np.zeros((boards, 1), dtype=np.int64)

    def act(self, observation: Observation, state: State, rng: np.random.Generator) -> tuple[Moves, State]:
        """Play the next one."""
        rng.random(len(observation))
        return self._columns[state[:, 0]], state + 1


def one_game(first: str, second: str) -> Result:
    """Return the result of a fixed game."""
    rng = np.random.default_rng(0)
    players = Fixed(first), Fixed(second)
    return Result(int(play_games(make_game(), players, Boards(1), np.zeros(1, dtype=np.int64), rng).results[0]))


def test_results_are_seen_by_the_first_player() -> None:
    """A win of either side, and an illegal move of either side."""
    assert one_game("1111", "222") is Result.WIN
    assert one_game("1235", "7777") is Result.LOSS
    assert one_game("1111111", "1111111") is Result.LOSS, "the seventh disc in column 1 is the first player's"
    assert one_game("2111", "1118") is Result.WIN, "there is no column 8"


def test_a_match_is_balanced_and_seen_by_the_player() -> None:
    """The odd game goes to the first seat; the tactical player wins from both."""
    scores = play_match(parse_player("heuristic:tactical"), parse_player("heuristic:random"), 101, seed=1)
    assert (scores.first.games, scores.second.games, scores.total.games) == (51, 50, 101)
    assert scores.first.wins > 45
    assert scores.second.wins > 45


def test_a_match_is_seeded() -> None:
    """The same seed gives the same games, another seed gives others."""
    players = parse_player("heuristic:random"), parse_player("heuristic:random")
    assert play_match(*players, 200, seed=3) == play_match(*players, 200, seed=3)
    assert play_match(*players, 200, seed=3) != play_match(*players, 200, seed=4)


def test_openings_have_their_length_and_are_not_over() -> None:
    """Thirty random plies end many games; those are replaced."""
    boards = random_openings(make_game(), np.full(300, 30), np.random.default_rng(0))
    assert (boards.plies == 30).all()
    assert not boards.over.any()
    assert len({row.tobytes() for row in boards.pack()}) > 250


def test_the_score_of_a_match_is_the_players_own() -> None:
    """Seen from the other side, wins and losses swap, and so do the seats."""
    stubborn, winner = Fixed("1111"), Fixed("2222")
    assert play_match(stubborn, winner, 1).first == Score(wins=1)
    scores = play_match(winner, stubborn, 2)
    assert (scores.first, scores.second) == (Score(wins=1), Score(losses=1))


def test_the_boards_given_stay_as_they_were() -> None:
    """Games are played on copies."""
    boards = Boards(2)
    players = parse_player("heuristic:random"), parse_player("heuristic:random")
    play_games(make_game(), players, boards, np.zeros(2, dtype=np.int64), np.random.default_rng(0))
    assert not boards.plies.any()
    assert not boards.occupied.any()
