"""One contract, run on every player."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from connectfour.errors import ConnectFourError, PlayerError, RunFolderError, SnapshotError
from connectfour.export.onnx import export_onnx
from connectfour.games.connect_four.bitboard import Boards, Outcome
from connectfour.players.contract import Player
from connectfour.players.names import pack_player, parse_player
from heuristics import HEURISTICS
from tests.runs import make_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder."""
    return make_run(tmp_path_factory.mktemp("runs") / "demo")


SPECS = [
    *(f"heuristic:{name}" for name in HEURISTICS),
    "heuristic:minimax:3",
    "snapshot:v1",
    "snapshot:main:greedy",
    "onnx",
]


@pytest.fixture(params=SPECS)
def player(request: pytest.FixtureRequest, run: Path) -> Player:
    """Every kind of player there is."""
    spec: str = request.param
    if spec.startswith("snapshot:"):
        name, _, greedy = spec.removeprefix("snapshot:").partition(":")
        return parse_player(f"snapshot:{run}/{name}", greedy=bool(greedy))
    if spec == "onnx":
        if not (run / "model.onnx").exists():
            export_onnx(pack_player(f"snapshot:{run}/v1"), run / "model.onnx")
        return parse_player(f"onnx:{run}/model.onnx")
    return parse_player(spec)


def _games(player: Player, boards: int, seed: int, plies: int = 42) -> list[list[int]]:
    """Let a player play both sides on ``boards`` boards in lockstep and return the columns of each ply."""
    rng = np.random.default_rng(seed)
    state = [player.initial_state(boards) for _ in range(2)]
    games = Boards(boards)
    played = []
    for ply in range(plies):
        columns, state[ply % 2] = player.act(*games.observe(), state[ply % 2], rng)
        alive = np.flatnonzero(~games.over)
        turn = games[alive]
        assert not (turn.play(columns[alive]) == Outcome.ILLEGAL).any()
        games.assign(alive, turn)
        played.append(columns[alive].tolist())
    return played


def test_legal_and_deterministic_under_a_seed(player: Player) -> None:
    """Whole games without an illegal move, twice the same."""
    assert _games(player, 16, seed=5) == _games(player, 16, seed=5)


def test_a_batch_is_its_boards_one_by_one(player: Player) -> None:
    """The same generator gives the same columns whether boards are asked together or in turn."""
    boards = Boards(12)
    setup = np.random.default_rng(1)
    for _ in range(9):
        columns = parse_player("heuristic:random").act(*boards.observe(), np.zeros((12, 0), dtype=np.int64), setup)[0]
        boards.play(columns)
        boards.reset(boards.over)
    observation, mask = boards.observe()
    state = player.initial_state(12)
    together, memory = player.act(observation, mask, state, np.random.default_rng(9))
    rng = np.random.default_rng(9)
    apart = [player.act(observation[i : i + 1], mask[i : i + 1], state[i : i + 1], rng) for i in range(12)]
    assert together.tolist() == [int(columns[0]) for columns, _ in apart]
    np.testing.assert_array_equal(memory, np.concatenate([each for _, each in apart]))


def test_nothing_is_remembered_outside_the_state(player: Player) -> None:
    """Another game in between changes nothing: the same observation, state and chance give the same column."""
    boards = Boards(8)
    state = player.initial_state(8)
    before = player.act(*boards.observe(), state, np.random.default_rng(2))[0]
    _games(player, 8, seed=3, plies=11)
    after = player.act(*boards.observe(), state, np.random.default_rng(2))[0]
    assert before.tolist() == after.tolist()
    assert not state.any(), "the state that was handed in stays as it was"


@pytest.mark.parametrize(
    ("spec", "error", "message"),
    [
        ("linear", PlayerError, "is no player"),
        ("heuristic:", PlayerError, "is no player"),
        ("heuristic:nobody", PlayerError, "no heuristic is called 'nobody'"),
        ("robot:r2", PlayerError, "is no player"),
        ("snapshot:nowhere/v1", RunFolderError, "nowhere is no run folder"),
        ("snapshot:{run}/v9", SnapshotError, "no snapshot 'v9': it has v0001, v0002, main, best"),
        ("snapshot:{run}/linear", SnapshotError, "no snapshot 'linear'"),
    ],
)
def test_wrong_names_get_a_sentence(spec: str, error: type[ConnectFourError], message: str, run: Path) -> None:
    """The message says what is there instead."""
    with pytest.raises(error, match=message):
        parse_player(spec.format(run=run))
