"""Answers of players, right and wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from connectfour.games.connect_four.bitboard import Boards
from connectfour.games.observation import Observation
from connectfour.games.registry import make_game
from connectfour.games.result import Result
from connectfour.matches.arena import BoardGame, play_games
from connectfour.matches.records import Fault, GameSpec
from connectfour.matches.referee import ask
from connectfour.networks.network import make_network
from connectfour.players.contract import Player
from connectfour.players.encoded import EncodedPlayer
from connectfour.players.names import encode_heuristic
from connectfour.players.network_player import NetworkPlayer
from connectfour.settings.network import Architecture
from heuristics import State, make_heuristic


class Strange:
    """Answers with a function of the planes."""

    name = "strange"

    def __init__(self, answer: Callable[[NDArray[np.integer]], Any]) -> None:
        self._answer = answer

    def initial_state(self, boards: int) -> State:
        """Remember nothing."""
        return np.zeros((boards, 0), dtype=np.int64)

    def act(self, observation: Observation, state: State, rng: np.random.Generator) -> tuple[Any, State]:
        """Answer."""
        return self._answer(observation.planes), state


def asked(player: Player, boards: int = 3) -> dict[int, Fault]:
    """Ask on empty boards."""
    state = player.initial_state(boards)
    return ask(player, Boards(boards).observe(), state, np.random.default_rng(0)).faults


@pytest.mark.parametrize(
    "answer", ["", -10, 0.5, {}, float("nan"), None, [[0, 1, 2]], ["a", "b", "c"], 7, [0.5] * 3, [float("nan")] * 3]
)
def test_an_invalid_result_is_a_fault(answer: Any) -> None:
    """On every board, with the answer in its detail."""
    faults = asked(Strange(lambda observation: answer))
    assert {kind for kind, _ in faults.values()} == {"invalid_result"}
    assert sorted(faults) == [0, 1, 2]
    assert "answered" in faults[0][1]


@pytest.mark.parametrize("wrong", [-10, 7, -1])
def test_a_number_outside_of_the_board_is_an_invalid_result(wrong: int) -> None:
    """On its board only."""
    faults = asked(Strange(lambda observation: np.array([0, wrong, 6])))
    assert faults == {1: ("invalid_result", f"answered {wrong}")}


def test_an_exception_harms_only_the_board_on_which_it_is_raised() -> None:
    """The player raises on the boards where its opponent has played."""

    def fails_on_some(observation: NDArray[np.integer]) -> Any:
        if observation[..., 1].any():
            raise KeyError("lost")
        return np.zeros(len(observation), dtype=np.int64)

    boards = Boards(4)
    boards.assign(np.array([2]), _after_one_move())
    player = Strange(fails_on_some)
    answer = ask(player, boards.observe(), player.initial_state(4), np.random.default_rng(0))
    assert answer.faults == {2: ("exception", "KeyError: 'lost'")}
    assert answer.actions.tolist() == [0, 0, 0, 0]


def _after_one_move() -> Boards:
    board = Boards(1)
    board.play(np.array([3]))
    return board


def test_an_answer_without_a_fitting_memory_is_invalid() -> None:
    """The new state is a part of the answer."""

    class Forgetful(Strange):
        def act(self, observation: Any, state: Any, rng: Any) -> Any:
            return np.zeros(len(observation), dtype=np.int64), np.zeros(7)

    class Mute(Strange):
        def act(self, observation: Any, state: Any, rng: Any) -> Any:
            return np.zeros(len(observation), dtype=np.int64)

    for player in (Forgetful(lambda _: 0), Mute(lambda _: 0)):
        assert asked(player)[1][0] == "invalid_result"


def test_nan_logits_are_an_invalid_result() -> None:
    """``argmax`` would take NaN for the greatest logit."""
    network = make_network(Architecture(width=16))
    with torch.no_grad():
        next(network.parameters()).fill_(float("nan"))
    for greedy in (True, False):
        faults = asked(NetworkPlayer("broken", network, temperature=0.0 if greedy else 1.0))
        assert faults == dict.fromkeys(range(3), ("invalid_result", "answered -1"))


def test_a_game_ends_with_a_fault_while_the_others_continue() -> None:
    """A full column, or nonsense on some boards."""

    def stubborn(observation: NDArray[np.integer]) -> Any:
        return np.where(observation[..., 0].sum(axis=(1, 2)) == 2, -1, 0)

    players = (Strange(stubborn), make_heuristic("always_same"))
    played = play_games(make_game(), players, Boards(2), np.array([0, 1]), np.random.default_rng(0))
    assert played.faults == dict.fromkeys((0, 1), ("invalid_result", "answered -1"))
    assert played.results.tolist() == [-1, 1]
    assert (played.actions >= 0).sum(axis=1).tolist() == [4, 5], "nothing is played after the fault"
    full = play_games(
        make_game(),
        (Strange(lambda o: np.zeros(len(o), dtype=np.int64)),) * 2,
        Boards(1),
        np.zeros(1, int),
        np.random.default_rng(0),
    )
    assert full.faults == {0: ("illegal", "1 is not legal")}
    assert full.results.tolist() == [-1]
    assert (full.actions[0] >= 0).sum() == 6, "what was played before stays on record"


@pytest.mark.parametrize("kind", ["exception", "invalid_result"])
def test_a_fault_ends_only_the_game_in_which_it_happens(kind: str) -> None:
    """The player fails where its opponent has played column 2; no disc is dropped in its place."""

    def fails_on_some(planes: NDArray[np.integer]) -> Any:
        failing = planes[:, 5, 1, 1] == 1
        if kind == "exception" and failing.any():
            raise KeyError("lost")
        return np.where(failing, -10, 0)

    players = (Strange(fails_on_some), Strange(lambda planes: np.where(planes[:, 5, 3, 1] == 1, 1, 2)))
    boards = Boards(2)
    boards.play(np.array([3, 4]))
    played = play_games(make_game(), players, boards, np.array([0, 0]), np.random.default_rng(0))
    assert {row: fault.kind for row, fault in played.faults.items()} == {0: kind}
    assert played.actions[0].tolist() == [1, *[-1] * 41]
    assert played.results.tolist() == [Result.LOSS, Result.LOSS]
    assert played.actions[1, :7].tolist() == [2, 0, 2, 0, 2, 0, 2], "the opponent wins by its fourth disc"


def test_records_hold_the_whole_game() -> None:
    """Moves from the empty board on, who won, and how."""
    rules = BoardGame()
    encoded: dict[str, EncodedPlayer] = {name: encode_heuristic(name) for name in ("tactical", "random")}
    games = [GameSpec(5, "random", "tactical", "4433"), GameSpec(6, "tactical", "random", "4433")]
    players = (rules.build(encoded["tactical"]), rules.build(encoded["random"]))
    records = rules.play(players, ("tactical", "random"), games, np.random.default_rng(0), lambda index: None)
    assert [(record.id, record.first, record.opening) for record in records] == [
        (5, "random", "4433"),
        (6, "tactical", "4433"),
    ]
    for record in records:
        assert record.moves.startswith("4433")
        board = Boards(1)
        outcome = [int(board.play(np.array([int(move) - 1]))[0]) for move in record.moves]
        assert not any(outcome[:-1])
        first_moved_last = len(record.moves) % 2 == 1
        assert record.termination == "win"
        assert record.result is (Result.WIN if first_moved_last else Result.LOSS)
        assert record.seconds > 0
