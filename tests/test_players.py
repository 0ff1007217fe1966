"""Every player fulfills one contract, and names lead to players."""

from __future__ import annotations

import json
from pathlib import Path
from shutil import copyfile, copytree

import numpy as np
import pytest

from connectfour.errors import ConnectFourError, PlayerError, RunFolderError, SnapshotError
from connectfour.export.onnx_file import export_onnx
from connectfour.games.connect_four.bitboard import Boards, Outcome
from connectfour.games.openings import random_openings
from connectfour.games.registry import make_game
from connectfour.players.contract import Player
from connectfour.players.names import encode_player, parse_player
from connectfour.runs.checkpoints import CHECKPOINT_POLICY
from connectfour.runs.folder import RunFolder
from connectfour.system.sealed import INDEX, seal
from heuristics import HEURISTICS
from tests.runs import make_run, member_file

CHECKPOINT = "checkpoints/part_1/checkpoint_000000"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with a checkpoint."""
    folder = make_run(tmp_path_factory.mktemp("runs") / "demo")
    write_checkpoint(folder / CHECKPOINT, folder)
    return folder


def write_checkpoint(checkpoint: Path, run: Path) -> None:
    """Write the files of an RLlib checkpoint that matter here: the policy of ``run``, a state, and the index."""
    (checkpoint / "learner_group").mkdir(parents=True)
    (checkpoint / "learner_group" / "state.pkl").write_bytes(b"state")
    copyfile(member_file(run, "main"), checkpoint / CHECKPOINT_POLICY)
    seal(checkpoint, iteration=3, env_steps=300, minutes=1.0, league_size=2)


SPECS = [
    *(f"heuristic:{name}" for name in HEURISTICS),
    "heuristic:minimax:3",
    "snapshot:{run}/v1",
    "snapshot:{run}/main",
    "checkpoint:{run}/" + CHECKPOINT,
    "onnx:{run}/model.onnx",
]
CASES = [(spec, greedy) for spec in SPECS for greedy in ([False] if spec.startswith("heuristic") else [False, True])]


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0]}{'-greedy' if case[1] else ''}")
def player(request: pytest.FixtureRequest, run: Path) -> Player:
    """Every kind of player there is."""
    spec, greedy = request.param
    if spec.startswith("onnx:") and not (run / "model.onnx").exists():
        export_onnx(encode_player(f"snapshot:{run}/v1"), run / "model.onnx")
    return parse_player(spec.format(run=run), greedy=greedy)


def _games(player: Player, boards: int, seed: int, plies: int = 42) -> list[list[int]]:
    """Return the columns of each ply of ``boards`` games in lockstep, in which a player plays both sides."""
    rng = np.random.default_rng(seed)
    state = [player.initial_state(boards) for _ in range(2)]
    games = Boards(boards)
    played = []
    for ply in range(plies):
        columns, state[ply % 2] = player.act(games.observe(), state[ply % 2], rng)
        going = np.flatnonzero(~games.over)
        turn = games[going]
        assert not (turn.play(columns[going]) == Outcome.ILLEGAL).any()
        games.assign(going, turn)
        played.append(columns[going].tolist())
    return played


def test_games_are_legal_and_repeat_under_the_same_seed(player: Player) -> None:
    """Whole games contain no illegal move and are the same the second time."""
    assert _games(player, 16, seed=5) == _games(player, 16, seed=5)


def test_a_batch_gets_the_columns_of_its_boards_one_by_one(player: Player) -> None:
    """It makes no difference whether boards are passed together or one after the other."""
    observation = random_openings(make_game(), np.full(12, 9), np.random.default_rng(1)).observe()
    state = player.initial_state(12)
    together, memory = player.act(observation, state, np.random.default_rng(9))
    rng = np.random.default_rng(9)
    apart = [player.act(observation[i : i + 1], state[i : i + 1], rng) for i in range(12)]
    assert together.tolist() == [int(columns[0]) for columns, _ in apart]
    np.testing.assert_array_equal(memory, np.concatenate([each for _, each in apart]))


def test_players_remember_nothing_outside_their_state(player: Player) -> None:
    """Another game in between changes nothing, and a call does not modify the state it is given."""
    observation, state = Boards(8).observe(), player.initial_state(8)
    before = player.act(observation, state, np.random.default_rng(2))[0]
    _games(player, 8, seed=3, plies=11)
    after = player.act(observation, state, np.random.default_rng(2))[0]
    assert before.tolist() == after.tolist()
    assert not state.any()


def test_a_batch_may_be_empty(player: Player) -> None:
    """Without boards, there are no columns."""
    columns, state = player.act(Boards(0).observe(), player.initial_state(0), np.random.default_rng(0))
    assert columns.shape == (0,)
    assert len(state) == 0


def test_a_checkpoint_plays_the_policy_that_it_holds(run: Path) -> None:
    """It is the same player as main of its run, and knows its run and iteration."""
    checkpoint, main = encode_player(f"checkpoint:{run / CHECKPOINT}"), encode_player(f"snapshot:{run}/main")
    assert checkpoint.name == "demo/main@3"
    assert checkpoint.iteration == 3
    assert checkpoint.sha256 == main.sha256
    assert checkpoint.sha256 != encode_player(f"snapshot:{run}/v1").sha256


def test_a_checkpoint_outside_a_run_is_a_player_too(run: Path, tmp_path: Path) -> None:
    """Its name then lacks the run."""
    copytree(run / CHECKPOINT, tmp_path / "copy")
    assert encode_player(f"checkpoint:{tmp_path}/copy").name == "main@3"


def test_a_folder_without_a_checkpoint_is_refused(run: Path) -> None:
    """The message shows what a checkpoint's path looks like."""
    for path in (run / "nowhere", run / "checkpoints", run / CHECKPOINT / INDEX):
        with pytest.raises(PlayerError, match="not a complete checkpoint of a run: name a folder such as runs/NAME/"):
            parse_player(f"checkpoint:{path}")


@pytest.mark.parametrize("file", [CHECKPOINT_POLICY, "learner_group/state.pkl"])
@pytest.mark.parametrize("damage", ["missing", "cut", "flipped"])
def test_an_incomplete_checkpoint_is_refused(file: str, damage: str, run: Path, tmp_path: Path) -> None:
    """Every file in the index must be there as it was written, to the last bit."""
    checkpoint = tmp_path / "checkpoint"
    write_checkpoint(checkpoint, run)
    path = checkpoint / file
    parse_player(f"checkpoint:{checkpoint}")
    if damage == "missing":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-1])
    else:
        path.write_bytes(flip(path.read_bytes()))
    verdict = "missing" if damage == "missing" else "damaged"
    with pytest.raises(PlayerError, match=f"{checkpoint} is not a whole checkpoint, {file} is {verdict}"):
        parse_player(f"checkpoint:{checkpoint}")


def flip(data: bytes) -> bytes:
    """Return ``data`` with one bit changed, near the end."""
    changed = bytearray(data)
    changed[-3] ^= 0x40
    return bytes(changed)


def test_a_checkpoint_of_an_older_release_is_refused(run: Path, tmp_path: Path) -> None:
    """Its index is complete, but lists no policy."""
    checkpoint = tmp_path / "checkpoint"
    write_checkpoint(checkpoint, run)
    (checkpoint / CHECKPOINT_POLICY).unlink()
    index = json.loads((checkpoint / INDEX).read_text())
    del index["files"][CHECKPOINT_POLICY]
    (checkpoint / INDEX).write_text(json.dumps(index))
    with pytest.raises(PlayerError, match=f"{checkpoint} has no {CHECKPOINT_POLICY} because an older release wrote it"):
        parse_player(f"checkpoint:{checkpoint}")


@pytest.mark.parametrize("damage", ["overwritten", "flipped"])
def test_a_checkpoint_of_an_older_release_with_a_damaged_policy_is_refused(
    damage: str, run: Path, tmp_path: Path
) -> None:
    """Its index has sizes only; the weights have a hash of their own."""
    checkpoint = tmp_path / "checkpoint"
    write_checkpoint(checkpoint, run)
    index = json.loads((checkpoint / INDEX).read_text())
    (checkpoint / INDEX).unlink()
    index["files"] = {name: (checkpoint / name).stat().st_size for name in index["files"]}
    (checkpoint / "league_checkpoint.json").write_text(json.dumps(index))
    assert encode_player(f"checkpoint:{checkpoint}").iteration == 3
    policy = checkpoint / CHECKPOINT_POLICY
    policy.write_bytes(flip(policy.read_bytes()) if damage == "flipped" else b"x" * policy.stat().st_size)
    complaint = "is damaged" if damage == "flipped" else "is not a snapshot"
    with pytest.raises(SnapshotError, match=f"{policy} {complaint}"):
        encode_player(f"checkpoint:{checkpoint}")


@pytest.mark.parametrize(
    ("spec", "error", "message"),
    [
        ("linear", PlayerError, "unknown player 'linear': write heuristic:NAME, "),
        ("heuristic:", PlayerError, "unknown player 'heuristic:'"),
        ("checkpoint:", PlayerError, "unknown player 'checkpoint:'"),
        ("heuristic:nobody", PlayerError, "unknown heuristic 'nobody': choose one of random, "),
        ("robot:r2", PlayerError, "unknown player 'robot:r2'"),
        ("onnx:nowhere.onnx", PlayerError, "nowhere.onnx is not a file"),
        ("snapshot:nowhere/v1", RunFolderError, "nowhere is not a run folder"),
        ("snapshot:{run}/v9", SnapshotError, "no snapshot 'v9': choose one of v0001, v0002, main, best"),
        ("snapshot:{run}/linear", SnapshotError, "no snapshot 'linear'"),
    ],
)
def test_unknown_names_are_refused(spec: str, error: type[ConnectFourError], message: str, run: Path) -> None:
    """The message says what to write instead."""
    with pytest.raises(error, match=message):
        parse_player(spec.format(run=run))


def test_a_run_without_snapshots_says_so(tmp_path: Path) -> None:
    """Early in a run, there are only heuristics."""
    RunFolder(tmp_path / "young").league.mkdir(parents=True)
    run = make_run(tmp_path / "young", heuristics=("random",), networks=())
    with pytest.raises(SnapshotError, match="young has no snapshot 'best': it has none yet, so train it longer"):
        parse_player(f"snapshot:{run}/best")
