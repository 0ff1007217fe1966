"""A league outlives its process: checkpoints, the snapshots beside them, trials of Tune, and evaluation."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ray.rllib.callbacks.callbacks import RLlibCallback
from ray.rllib.core.columns import Columns

from callbacks.self_play import SelfPlayCallback
from connectfour.errors import ConfigError, RunFolderError, SnapshotError
from connectfour.games.openings import random_openings
from connectfour.games.registry import make_game
from connectfour.league.manifest import members_in
from connectfour.league.members import MAIN
from connectfour.league.snapshots import weights_sha256
from connectfour.learning.ppo.algorithm import SelfPlayPPO, SelfPlayPPOConfig
from connectfour.learning.sync import module_weights, runner_hashes
from connectfour.players.names import encode_members, lost_members, parse_player
from connectfour.runs.folder import RunFolder
from connectfour.system.observer import Observer
from connectfour.tournament.plan import Limits
from connectfour.tournament.session import rank
from tests.leagues import LOCKSTEP, Build, config, tiny_settings

pytestmark = pytest.mark.usefixtures("ray_session")

RETIRING = ("league.opponents=[heuristic:random]", "league.opponent_count=3", "league.revival_probability=0", *LOCKSTEP)


def _manifest(algorithm: SelfPlayPPO) -> Path:
    return algorithm.league.store.manifest


def _games(algorithm: SelfPlayPPO) -> int:
    return sum(score.games for score in algorithm.league.pool.payoff.values())


def test_missing_and_damaged_files_are_mended_from_the_checkpoint(build: Build, tmp_path: Path) -> None:
    """A league that moved without its files gets them back, and one with a changed byte is repaired."""
    algorithm = build()
    algorithm.train()
    member = algorithm.league.freeze_main()
    algorithm.save_to_path(str(tmp_path / "checkpoint"))
    elsewhere = build(folder=tmp_path / "elsewhere")
    elsewhere.restore_from_path(str(tmp_path / "checkpoint"))
    elsewhere.league.store.load(members_in(_manifest(elsewhere))[member.id])
    file = algorithm.league.store.folder / str(member.file)
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    algorithm.restore_from_path(str(tmp_path / "checkpoint"))
    algorithm.league.store.load(members_in(_manifest(algorithm))[member.id])


def _long_league(build: Build) -> SelfPlayPPO:
    """Return a league with two retired snapshots, v0001 and v0002."""
    algorithm = build(*RETIRING)
    for _ in range(5):
        algorithm.train()
        algorithm.league.freeze_main()
    members = algorithm.league.pool.members
    assert [name for name in members if members[name].slot is None] == ["random", "v0001", "v0002"]
    return algorithm


@pytest.mark.slow
def test_a_checkpoint_restored_into_another_league_brings_its_archive(build: Build, tmp_path: Path) -> None:
    """No file is overwritten, all members have theirs, and ids say which league froze a member that both have."""
    theirs = _long_league(build)
    theirs.save_to_path(str(tmp_path / "checkpoint"))
    ours = build(*RETIRING, "seed=5", folder=tmp_path / "ours" / "league")
    for _ in range(2):
        ours.train()
        ours.league.freeze_main()
    own = {member.id: member.weights_sha256 for member in ours.league.pool.snapshots}
    ours.restore_from_path(str(tmp_path / "checkpoint"))
    members = members_in(_manifest(ours))
    for member in members.values():
        if member.kind != "heuristic":
            ours.league.store.load(member)
    for member in theirs.league.pool.snapshots:
        assert members[member.id].weights_sha256 == member.weights_sha256
    for name, weights in own.items():
        assert members[f"{ours.league.pool.id}-{name}"].weights_sha256 == weights
    assert ours.league.freeze_main().id == "v0006"
    assert ours.train()["missing"] == []
    names = {line.name for line in rank([tmp_path / "ours"], limits=Limits(matches=8)).standings}
    assert {f"{ours.league.pool.id}-v0001", "v0001", "v0005"} < names
    assert "v0006" not in names, "main had not learned since v0005"


@pytest.mark.slow
def test_an_archive_that_is_gone_is_reported_and_left_out(build: Build, tmp_path: Path) -> None:
    """Members that play have their weights in the checkpoint; the files of retired ones are lost with their folder."""
    algorithm = _long_league(build)
    algorithm.save_to_path(str(tmp_path / "checkpoint"))
    algorithm.stop()
    shutil.rmtree(tmp_path / "league")
    elsewhere = build(*RETIRING, folder=tmp_path / "elsewhere" / "league")
    elsewhere.restore_from_path(str(tmp_path / "checkpoint"))
    assert elsewhere.train()["missing"] == ["v0001", "v0002"]
    assert elsewhere.train()["missing"] == [], "said once"
    run = RunFolder(tmp_path / "elsewhere")
    assert lost_members(run) == ["v0001", "v0002"]
    assert {player.name for player in encode_members(run)} >= {"v0003", "v0004", "v0005"}
    said = Console()
    rank([run.path], tmp_path / "ranking", Limits(matches=8), observer=said)
    assert [text for text in said.said if "left out" in text] == [
        f"{name} of {run.path} is left out: its file is lost." for name in ("v0001", "v0002")
    ]


class Console(Observer):
    """Remembers what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


def test_looking_at_a_checkpoint_leaves_the_run_alone(build: Build, tmp_path: Path) -> None:
    """An algorithm made from a checkpoint has a league of its own; so has one made from a resumed run's."""
    algorithm = build()
    algorithm.train()
    algorithm.save_to_path(str(tmp_path / "first"))
    algorithm.league.freeze_main()
    algorithm.stop()
    resumed = config(tmp_path / "league").league(restore_from=tmp_path / "first").build_algo()
    resumed.save_to_path(str(tmp_path / "second"))
    resumed.stop()
    shutil.rmtree(tmp_path / "first")
    manifest = _manifest(algorithm).read_bytes()
    visitor = SelfPlayPPO.from_checkpoint(str(tmp_path / "second"))
    try:
        assert visitor.league.store.folder != algorithm.league.store.folder
        visitor.league.freeze_main()
        assert _manifest(algorithm).read_bytes() == manifest
    finally:
        visitor.stop()


def test_a_new_league_in_a_used_folder_overwrites_nothing(build: Build) -> None:
    """What another attempt froze stays in the archive under its own name."""
    first = build()
    kept = first.league.freeze_main()
    first.stop()
    second = build()
    assert second.league.freeze_main().id == "v0002"
    assert second.league.store.load(members_in(_manifest(second))[kept.id])
    assert len(second.league.pool) == 4, "the league counts its own freezes"


class Mine(RLlibCallback):  # type: ignore[misc]  # Ray's classes are untyped here
    """A user's callback that has nothing to do with leagues."""


class EveryIteration(SelfPlayCallback):
    """A user's rule of freezing."""

    def should_freeze(self, **kwargs: Any) -> bool:
        return True


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], [SelfPlayCallback]),
        ([SelfPlayCallback], [SelfPlayCallback]),
        ([Mine], [SelfPlayCallback, Mine]),
        ([[Mine, SelfPlayCallback]], [Mine, SelfPlayCallback]),
        ([EveryIteration], [EveryIteration]),
        ([None], [SelfPlayCallback]),
    ],
)
def test_a_users_callbacks_are_added_to_the_leagues(given: list[Any], expected: list[type]) -> None:
    """Without its callback the league would never grow; a subclass takes its place."""
    built = SelfPlayPPOConfig.from_settings(tiny_settings())
    for each in given:
        built.callbacks(each)
    assert built.callbacks_class == expected
    assert built.copy().update_from_dict({"callbacks": built.callbacks_class}).callbacks_class == expected


def test_a_users_rule_freezes_main(tmp_path: Path) -> None:
    """The callback is the hook into freezing."""
    algorithm = config(tmp_path / "league").callbacks(EveryIteration).build_algo()
    assert [algorithm.train()["frozen"] for _ in range(2)] == ["v0001", "v0002"]
    algorithm.stop()


def test_a_folder_has_one_trainer(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second one waits a while for the first to end, and is then refused with the first one's name."""
    monkeypatch.setattr("connectfour.learning.league._MOST_SECONDS_OF_AN_OLD_TRAINER", 0.1)
    first = build()
    with pytest.raises(RunFolderError, match=rf"process {os.getpid()} on host \S+ is training in .*: wait for it or"):
        build()
    first.stop()
    build().train()


def test_evaluation_runners_play_the_present_league(build: Build, tmp_path: Path) -> None:
    """Separate env runners for evaluation get the roster, and their games freeze nobody."""
    evaluated = config(tmp_path / "league", "rollout.mirror_share=0.0")
    evaluated.evaluation(evaluation_interval=1, evaluation_num_env_runners=0, evaluation_duration=2)
    algorithm = evaluated.build_algo()
    runner = algorithm.eval_env_runner_group.local_env_runner
    member = algorithm.league.freeze_main()
    assert runner_hashes(runner, [member.module]) == {member.module: member.weights_sha256}, "at once, not at a sync"
    algorithm.save_to_path(str(tmp_path / "checkpoint"))
    saved = weights_sha256(module_weights(algorithm))
    algorithm.train()
    assert "v0001" in algorithm.eval_env_runner_group.local_env_runner.matchmaker.roster.modules
    games = _games(algorithm)
    algorithm.evaluate()
    assert _games(algorithm) == games
    algorithm.restore_from_path(str(tmp_path / "checkpoint"))
    assert runner_hashes(runner, [MAIN]) == {MAIN: saved}, "an older checkpoint takes them along"
    algorithm.stop()


def test_evaluation_with_a_lockstep_runner_is_refused(tmp_path: Path) -> None:
    """RLlib would count its episodes, and it has none."""
    built = config(tmp_path, "rollout.env_runner=lockstep").evaluation(evaluation_interval=1)
    with pytest.raises(ConfigError, match=r"evaluate with rollout\.env_runner=stock"):
        built.build_algo()


def test_a_snapshot_plays_like_the_module_it_was_frozen_from(build: Build, tmp_path: Path) -> None:
    """The player loaded from the run's folder chooses main's most probable columns."""
    algorithm = build("precision=float32")
    algorithm.train()
    algorithm.league.freeze_main()
    player = parse_player(f"snapshot:{tmp_path}/v1", greedy=True)
    observation = random_openings(make_game(), np.full(100, 8), np.random.default_rng(0)).observe()
    columns, _ = player.act(observation, player.initial_state(100), np.random.default_rng(0))
    obs = {
        "observation": torch.from_numpy(observation.planes),
        "action_mask": torch.from_numpy(observation.action_mask),
    }
    logits = algorithm.get_module(MAIN).forward_inference({Columns.OBS: obs})[Columns.ACTION_DIST_INPUTS]
    assert columns.tolist() == logits.argmax(dim=1).tolist()


def test_a_snapshot_frozen_after_the_checkpoint_is_not_lost(build: Build, tmp_path: Path) -> None:
    """Going back keeps it in the archive, and its name is not used again."""
    algorithm = build()
    algorithm.train()
    algorithm.league.freeze_main()
    algorithm.save_to_path(str(tmp_path / "checkpoint"))
    algorithm.train()
    late = algorithm.league.freeze_main()
    algorithm.restore_from_path(str(tmp_path / "checkpoint"))
    assert algorithm.league.pool.active.count(late.id) == 0
    algorithm.league.store.load(members_in(_manifest(algorithm))[late.id])
    assert algorithm.league.freeze_main().id == "v0003"


def test_a_checkpoint_whose_slots_are_not_its_league_is_refused(build: Build, tmp_path: Path) -> None:
    """Weights that do not have the named hash are no snapshot."""
    algorithm = build()
    member = algorithm.league.freeze_main()
    algorithm.league.pool.members[member.id] = member.model_copy(update={"weights_sha256": "0" * 64})
    algorithm.save_to_path(str(tmp_path / "checkpoint"))
    with pytest.raises(SnapshotError, match="weights of v0001 that do not match"):
        algorithm.restore_from_path(str(tmp_path / "checkpoint"))


@pytest.mark.parametrize("runner", [LOCKSTEP, ()], ids=["lockstep", "stock"])
def test_games_under_way_end_with_a_restore(runner: tuple[str, ...], build: Build, tmp_path: Path) -> None:
    """Their first half was played by other weights: new ones begin, and nothing of them counts."""
    algorithm = build(*runner, "rollout.mirror_share=0.0", "ppo.batch_size=256", "ppo.minibatch_size=64")
    algorithm.train()
    algorithm.save_to_path(str(tmp_path / "checkpoint"))
    algorithm.train()
    algorithm.restore_from_path(str(tmp_path / "checkpoint"))
    games = _games(algorithm)
    assert algorithm.league.exchange.collect() == {}
    if runner:
        assert algorithm.env_runner._match_ups == []
    else:
        assert algorithm.env_runner._needs_initial_reset
    algorithm.train()
    assert _games(algorithm) >= games


def test_two_rules_of_freezing_are_refused() -> None:
    """Each would record every iteration."""
    config = SelfPlayPPOConfig.from_settings(tiny_settings())
    other = type("Other", (SelfPlayCallback,), {})
    with pytest.raises(ConfigError, match="a league grows by one callback: choose one of"):
        config.callbacks([EveryIteration, other])
    assert config.callbacks([EveryIteration, SelfPlayCallback]).callbacks_class == [EveryIteration]


def test_what_cannot_be_built_leaves_the_folder_free(build: Build, tmp_path: Path) -> None:
    """Whoever corrects the configuration can use it at once."""
    refused = config(tmp_path / "league", "rollout.env_runner=lockstep").evaluation(evaluation_interval=1)
    with pytest.raises(ConfigError, match="evaluate with"):
        refused.build_algo()
    build().train()


def test_an_incomplete_checkpoint_is_not_restored(build: Build, tmp_path: Path) -> None:
    """Nor is one with a damaged file; the algorithm is as it was."""
    algorithm = build()
    algorithm.train()
    algorithm.save_to_path(str(tmp_path / "checkpoint"))
    state = tmp_path / "checkpoint" / "algorithm_state.pkl"
    whole = state.read_bytes()
    state.write_bytes(bytes(len(whole)))
    with pytest.raises(SnapshotError, match=r"cannot be restored, algorithm_state\.pkl is damaged: use another one"):
        algorithm.restore_from_path(str(tmp_path / "checkpoint"))
    state.write_bytes(whole)
    (tmp_path / "checkpoint" / "sealed.json").unlink()
    with pytest.raises(SnapshotError, match="cannot be restored, it is incomplete"):
        algorithm.restore_from_path(str(tmp_path / "checkpoint"))
    algorithm.train()
