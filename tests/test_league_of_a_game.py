"""Leagues of other games than Connect Four: both learners, all kinds of games, opponents and networks."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from connectfour.errors import ConfigError, GameError, PlayerError
from connectfour.games.registry import make_game
from connectfour.grading.solved import solved_positions
from connectfour.league.snapshots import decode_snapshot, weights_sha256
from connectfour.learning.ppo.algorithm import SelfPlayPPOConfig
from connectfour.learning.sync import module_weights
from connectfour.match_log.lines import PlaySettings, RankedPlayer
from connectfour.match_log.log import MatchLog
from connectfour.matches.arena import BoardGame
from connectfour.matches.records import GameRecord, GameSpec
from connectfour.players.names import encode_player, parse_player
from connectfour.settings.game import GameSettings
from connectfour.settings.reading import load_settings
from tests.commands import call, call_process
from tests.leagues import LOCKSTEP, Build, BuildApex

TEMPLATE = Path(__file__).parent.parent / "examples" / "your_game"

ZOO = "pettingzoo:pettingzoo.classic.tictactoe_v3"
TINY = (
    "network.width=16",
    "network.layers=1",
    "rollout.env_runners=0",
    "rollout.envs_per_runner=16",
    "ppo.batch_size=256",
    "ppo.minibatch_size=64",
    "ppo.epochs=1",
    "league.newest_threshold=0",
    "league.newest_games=1",
    "grading.every=0",
)


def tiny_ppo(folder: Path, *overrides: str) -> Any:
    """Build a tiny league of any game, whose defaults follow the game."""
    settings = load_settings(None, [*TINY, *overrides])
    return SelfPlayPPOConfig.from_settings(settings).league(folder=folder).build_algo()


@pytest.fixture
def template(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the template, as the working directory."""
    folder = Path(shutil.copytree(TEMPLATE, tmp_path / "mine"))
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    return folder


@pytest.mark.parametrize("runner", ["lockstep", "stock"])
@pytest.mark.parametrize("game", ["tictactoe", ZOO])
def test_ppo_learns_any_game_on_both_env_runners(game: str, runner: str, tmp_path: Path, ray_session: None) -> None:
    """And a frozen policy records its game."""
    extra = ["rollout.envs_per_runner=4"] if runner == "stock" else []
    algorithm = tiny_ppo(tmp_path, f"game={game}", f"rollout.env_runner={runner}", *extra)
    try:
        before = weights_sha256(module_weights(algorithm))
        result = algorithm.train()
        assert set(result["opponent_scores"]) <= set(make_game(game).heuristics)
        assert weights_sha256(module_weights(algorithm)) != before
        member = algorithm.league.freeze_main()
        assert algorithm.league.store.load(member).network.game == GameSettings(name=game)
        assert json.loads((tmp_path / "manifest.json").read_text())["game"]["name"] == game
        assert (member.graded is None) == (game == ZOO)
    finally:
        algorithm.stop()


def test_apex_learns_another_game(build_apex: BuildApex) -> None:
    """Actors, replay and learner follow it."""
    algorithm = build_apex("game=tictactoe", "league.opponents=[heuristic:random, 'heuristic:minimax:2']")
    result = algorithm.train()
    assert result["env_steps"] > 0
    assert algorithm.league.freeze_main().id == "v0001"


def test_the_adapter_plays_the_games_of_the_native_rules(tmp_path: Path, ray_session: None) -> None:
    """With the same seeds, network and opponents, the same positions, moves and weights."""
    same = ("network.encoder=mlp", "lookahead.share=0", "league.opponents=[heuristic:random]")
    openings = ("rollout.mirror_opening_plies=0", "rollout.pool_opening_plies=0")
    found = []
    for name in ("connect_four", "pettingzoo:pettingzoo.classic.connect_four_v3"):
        algorithm = tiny_ppo(tmp_path / name.replace(":", "_"), f"game={name}", *same, *openings, "precision=float32")
        try:
            samples = algorithm.env_runner.sample()
            observation = make_game(name).expand(samples.packed)
            algorithm.train()
            found.append((samples, observation, weights_sha256(module_weights(algorithm))))
        finally:
            algorithm.stop()
    (native, seen, weights), (adapted, seen_by_adapter, weights_of_adapter) = found
    np.testing.assert_array_equal(native.action, adapted.action)
    np.testing.assert_array_equal(seen.planes, seen_by_adapter.planes)
    np.testing.assert_array_equal(seen.action_mask, seen_by_adapter.action_mask)
    np.testing.assert_allclose(native.advantage, adapted.advantage, rtol=1e-5, atol=1e-6)
    assert weights == weights_of_adapter


def test_a_small_game_is_solved_completely() -> None:
    """Perfect play draws tic-tac-toe; ``minimax:9`` plays it, and the halves share no position."""
    game = make_game("tictactoe")
    whole = solved_positions(game, "all")
    dev, test = (solved_positions(game, half) for half in ("dev", "test"))
    assert whole is not None
    assert dev is not None
    assert test is not None
    assert len(whole) == len(dev) + len(test) == 3191
    assert not {tuple(moves) for moves in dev.moves} & {tuple(moves) for moves in test.moves}
    assert solved_positions(make_game(ZOO), "dev") is None
    graded = call("grade", "heuristic:minimax:9", "--game", "tictactoe", "--positions", "all", "--json")
    assert json.loads(graded.stdout)["shares"]["all"]["value_preserving_share"] == 1.0
    played = call("match", "heuristic:minimax:9", "heuristic:minimax:9", "--game", "tictactoe", "--games", "4")
    assert "0.5" in played.stdout


@pytest.mark.slow
def test_the_template_leads_from_nothing_to_a_leaderboard(template: Path) -> None:
    """By the command line: trained with its own encoder against its own heuristic, ranked, graded, exported, played."""
    (template / "nim.yaml").write_text(
        "game: {name: 'nim:Nim', options: {heaps: [2, 3]}}\n"
        "network: {encoder: 'nets:HeapEncoder', options: {width: 16}}\n"
        "league: {opponents: ['heuristic:random', 'heuristic:players:Optimal'], min_games: 20,\n"
        "  win_rate_threshold: 0.3, newest_threshold: 0, freeze_error: 1}\n"
        "rollout: {env_runners: 0, envs_per_runner: 64}\n"
        "ppo: {batch_size: 1024, minibatch_size: 256}\n"
        "stop: {minutes: null, env_steps: 8192}\n"
    )
    _succeeds("train", "--config", "nim.yaml", "--run-dir", "run")
    _succeeds("train", "--resume", "run", "-p", "stop.env_steps=10240")
    ranked = _succeeds("rank", "run", "--matches", "60")
    assert (template / "run" / "leaderboard.csv").is_file()
    assert "players:Optimal" in ranked
    settings = json.loads((template / "run" / "matches.jsonl").read_text().splitlines()[0])["settings"]
    assert settings["game"] == "nim:Nim"
    assert settings["options"] == {"heaps": [2, 3]}
    assert "players:Optimal" in _succeeds("match", "snapshot:run/main", "heuristic:players:Optimal", "--games", "10")
    _succeeds("export-onnx", "run", "--output", "nim.onnx")
    assert parse_player("onnx:nim.onnx").initial_state(1).shape == (1, 0)
    _succeeds("match", "onnx:nim.onnx", "snapshot:run/main", "--games", "4")
    told = call_process("play", "--opponent", "snapshot:run/main", lines=["a1", "zz", "u", "h", "q"])
    assert told.returncode == 0, told.stderr
    assert "a | |" in told.stdout
    refused = call_process("match", "snapshot:run/main", "heuristic:linear", "--games", "4")
    assert refused.returncode == 5
    assert "heuristic 'linear' does not play nim:Nim" in refused.stderr


def _succeeds(*arguments: object) -> str:
    done = call_process(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_opponents_may_be_files_of_any_kind(tmp_path: Path, build: Build) -> None:
    """A snapshot, and an ONNX model, whose file and hash the league keeps; main may start from a snapshot, too."""
    from connectfour.export.onnx_file import export_onnx
    from tests.runs import make_run

    rival = make_run(tmp_path / "rival")
    export_onnx(f"snapshot:{rival}/v0001", tmp_path / "rival.onnx")
    opponents = f"league.opponents=[heuristic:random, snapshot:{rival}/v0002, onnx:{tmp_path}/rival.onnx]"
    wanted = [opponents, f"network.start_from=snapshot:{rival}/main"]
    algorithm = build(*LOCKSTEP, *wanted, "network.layers=2", "rollout.mirror_share=0")
    start = decode_snapshot(encode_player(f"snapshot:{rival}/main").data, "main")
    assert weights_sha256(module_weights(algorithm)) == weights_sha256(start.weights)
    result = algorithm.train()
    assert set(result["opponent_scores"]) == {"random", "rival-v0002", "rival"}
    member = algorithm.league.pool.members["rival"]
    assert str(member.file).endswith(".onnx")
    assert algorithm.league.store.read(member) == (tmp_path / "rival.onnx").read_bytes()
    folder = algorithm.save_to_path(tmp_path / "saved")
    algorithm.restore_from_path(folder)
    assert algorithm.league.pool.members["rival"].sha256 == member.sha256


@pytest.mark.parametrize(
    ("overrides", "error", "complaint"),
    [
        (["league.opponents=[heuristic:nowhere:Greedy]"], GameError, r"heuristic nowhere:Greedy cannot be imported"),
        (["league.opponents=[heuristic:linear]", "game=tictactoe"], ConfigError, r"'linear' does not play tictactoe"),
        (["league.opponents=['onnx:none.onnx']"], PlayerError, r"none\.onnx is not a file"),
        (["network.encoder=nowhere:Net"], GameError, r"encoder nowhere:Net cannot be imported"),
        (["network.encoder=json:JSONDecoder"], ConfigError, r"json:JSONDecoder is no torch\.nn\.Module: name a class"),
    ],
)
def test_what_cannot_play_is_refused_before_training(
    overrides: Sequence[str], error: type[Exception], complaint: str, tmp_path: Path, ray_session: None
) -> None:
    """In one sentence."""
    with pytest.raises(error, match=complaint):
        tiny_ppo(tmp_path, *overrides)


class Greedy:
    """A player that is built without the game."""

    def initial_state(self, boards: int) -> np.ndarray:
        """Remember nothing."""
        return np.zeros((boards, 0), dtype=np.int64)

    def act(self, observation: Any, state: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Play the first legal action."""
        return observation.action_mask.argmax(axis=1), state


class Loud(Greedy):
    """Plays what does not exist."""

    def act(self, observation: Any, state: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Answer too much."""
        return np.full(len(observation), 99), state


class Mute:
    """Has no method."""


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("Loud", r"answers \[99, 99, 99\] on 3 boards of tictactoe: return one legal action for each board"),
        ("Mute", r"has no method initial_state"),
        ("Nobody", r"cannot be imported: module .* has no attribute 'Nobody'"),
    ],
)
def test_a_class_that_is_no_player_is_refused(name: str, complaint: str) -> None:
    """Whatever is wrong with it."""
    with pytest.raises((PlayerError, GameError), match=complaint):
        parse_player(f"heuristic:{__name__}:{name}", game=GameSettings(name="tictactoe"))


def test_a_class_of_ones_own_plays() -> None:
    """In every game that it can read."""
    player = parse_player(f"heuristic:{__name__}:Greedy", game=GameSettings(name="tictactoe"))
    board = make_game("tictactoe").boards(2)
    actions, _ = player.act(board.observe(), player.initial_state(2), np.random.default_rng(0))
    assert actions.tolist() == [0, 0]


def test_players_of_different_games_do_not_meet(tmp_path: Path, ray_session: None) -> None:
    """Each is named with its game."""
    from tests.runs import make_run

    connect_four = make_run(tmp_path / "four")
    algorithm = tiny_ppo(tmp_path / "three" / "league", "game=tictactoe")
    try:
        algorithm.league.freeze_main()
    finally:
        algorithm.stop()
    one, other = f"snapshot:{connect_four}/v0001", f"snapshot:{tmp_path}/three/v0001"
    refused = call("match", one, other)
    assert refused.returncode == 5
    assert "plays tictactoe, and others play connect_four" in refused.stderr
    with pytest.raises(PlayerError, match=r"plays tictactoe, not connect_four"):
        encode_player(other, GameSettings())
    with pytest.raises(PlayerError, match=r"plays connect_four, not tictactoe"):
        tiny_ppo(tmp_path / "guest", "game=tictactoe", f"league.opponents=[heuristic:random, '{one}']")


def test_games_of_the_adapter_count(tmp_path: Path, ray_session: None) -> None:
    """The observation of a game that is over is empty; still, two games are not taken for one."""
    for runner in ("lockstep", "stock"):
        folder, extra = tmp_path / runner, [f"rollout.env_runner={runner}", "rollout.mirror_share=0"]
        algorithm = tiny_ppo(folder, f"game={ZOO}", "rollout.envs_per_runner=16", "ppo.batch_size=512", *extra)
        try:
            algorithm.train()
            assert algorithm.league.pool.recent.score("random").games > 20
        finally:
            algorithm.stop()


@pytest.mark.parametrize("game", ["tests.games:Dots", "tests.games:HighCard"])
def test_ppo_learns_games_of_another_kind(game: str, tmp_path: Path, ray_session: None) -> None:
    """One has repeated turns and margins; the other has chance, hidden cards and float observations."""
    algorithm = tiny_ppo(tmp_path, f"game={game}")
    try:
        result = algorithm.train()
        assert np.isfinite(result["learners"]["main"]["total_loss"])
        assert algorithm.league.pool.recent.score("random").games >= 5
    finally:
        algorithm.stop()


def test_different_games_that_end_alike_all_count(template: Path, tmp_path: Path, ray_session: None) -> None:
    """Nim has 72 last positions with a move, and thousands of games."""
    algorithm = tiny_ppo(tmp_path / "run", "game=nim:Nim", "rollout.mirror_share=0", "ppo.batch_size=2048")
    try:
        algorithm.train()
        assert algorithm.league.pool.recent.score("random").games > 150
    finally:
        algorithm.stop()


class Bare:
    """What a user may write: a name that cannot be set, and lists as answers."""

    @property
    def name(self) -> str:
        return "bare"

    def initial_state(self, boards: int) -> list[list[int]]:
        return [[] for _ in range(boards)]

    def act(self, observation: Any, state: Any, rng: Any) -> tuple[list[int], Any]:
        return [int(mask.argmax()) for mask in observation.action_mask], state


def test_a_class_may_answer_with_lists(tmp_path: Path, ray_session: None) -> None:
    """In matches and in training."""
    name = f"heuristic:{__name__}:Bare"
    done = call("match", name, "heuristic:random", "--game", "tictactoe", "--games", 4)
    assert (done.returncode, done.stderr) == (0, "")
    algorithm = tiny_ppo(tmp_path, "game=tictactoe", f"league.opponents=['{name}']", "rollout.mirror_share=0")
    try:
        assert algorithm.train()["opponent_scores"].keys() == {name.removeprefix("heuristic:")}
    finally:
        algorithm.stop()


class Cheat(Bare):
    """Plays by the rules at the start of a game only."""

    def act(self, observation: Any, state: Any, rng: Any) -> tuple[list[int], Any]:
        masks = observation.action_mask
        return [int(mask.argmax() if mask.all() else mask.argmin()) for mask in masks], state


def test_an_opponent_that_cheats_on_an_env_runner_ends_training(tmp_path: Path, ray_session: None) -> None:
    """At once: a restart of the env runner would not help."""
    opponents = f"league.opponents=['heuristic:{__name__}:Cheat']"
    algorithm = tiny_ppo(tmp_path, "game=tictactoe", opponents, "rollout.env_runners=1", "rollout.mirror_share=0")
    try:
        with pytest.raises(GameError, match=r"Cheat chose the illegal action \d: let it choose where"):
            algorithm.train()
    finally:
        algorithm.stop()


def test_players_that_search_need_the_lockstep_runner(template: Path) -> None:
    """RLlib's own shows observations, which do not tell the positions of every game."""
    stock = ("rollout.env_runner=stock", "league.opponents=[heuristic:random, 'heuristic:minimax:2']")
    settings = load_settings(None, ["game=nim:Nim", *stock])
    with pytest.raises(ConfigError, match=r"minimax:2 fails on observations alone .*rollout\.env_runner = stock"):
        SelfPlayPPOConfig.from_settings(settings)
    SelfPlayPPOConfig.from_settings(load_settings(None, ["game=tictactoe", *stock]))


def test_an_encoder_that_is_not_there_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    """So is one that is no module, before it is called."""
    run = tmp_path / "run"
    for name, complaint in (("nowhere:Net", "encoder nowhere:Net cannot be imported"), ("os:mkdir", "is no torch.nn")):
        done = call("train", "-p", "game=tictactoe", "-p", f"network.encoder={name}", "--run-dir", run)
        assert done.returncode in {2, 18}
        assert complaint in done.stderr
        assert not run.exists()


def test_games_of_chance_are_ranked_by_all_games() -> None:
    """The same moves with other cards are another game; the seed of a batch deals them."""
    rules = BoardGame(game=GameSettings(name="tests.games:HighCard"))
    player = parse_player("heuristic:random", game=rules.game)
    games = [GameSpec(number, "one", "other", "") for number in range(64)]

    def played(seed: int) -> list[GameRecord]:
        rng = np.random.default_rng(seed)
        return rules.play((player, player), ("one", "other"), games, rng, lambda _: None)

    records = played(0)
    assert [record.result for record in records] == [record.result for record in played(0)]
    assert [record.result for record in records] != [record.result for record in played(1)]
    assert len({record.moves for record in records}) < len(records)
    joined = [RankedPlayer(name, "heuristic") for name in ("one", "other")]
    for described, repeated in ((rules.describe(), False), ({**rules.describe(), "chance": False}, True)):
        log = MatchLog(Path("matches.jsonl"), [PlaySettings(0, described), *joined, *records])
        assert bool(log.repeated) == repeated
