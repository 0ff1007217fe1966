"""Copies of main over the course of a run: when they are kept, and reading them as players."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from connectfour.errors import RunFolderError, SnapshotError
from connectfour.league.history import PolicyHistory, kept_policies, read_policy
from connectfour.league.snapshots import EncodedSnapshot
from connectfour.players.names import encode_player
from connectfour.runs.folder import RunFolder
from connectfour.settings.reading import load_settings
from connectfour.training.train import train_or_resume
from tests.commands import call
from tests.runs import make_run, member_file


def keep(history: PolicyHistory, iteration: int, data: bytes = b"weights") -> None:
    """Keep a policy."""
    history.keep(EncodedSnapshot(data, "hash", iteration, 100 * iteration))


def test_policies_are_kept_evenly_over_the_run(tmp_path: Path) -> None:
    """Each point once, however many iterations lie between two; a run that ends has its last one."""
    history = PolicyHistory(tmp_path, 4)
    history.begin(0.0, 0)
    shares = [0.1, 0.24, 0.25, 0.3, 0.8, 0.9, 1.0, 1.0]
    assert [history.is_due(share) for share in shares] == [False, False, True, False, True, False, True, False]
    nothing = PolicyHistory(tmp_path, 0)
    assert not any(nothing.is_due(share) for share in shares)


def test_a_resumed_run_forgets_what_has_not_happened(tmp_path: Path) -> None:
    """It goes on at the checkpoint's iteration and share; later policies belong to another course of events."""
    history = PolicyHistory(tmp_path, 10)
    for iteration in (10, 20, 30):
        keep(history, iteration)
    (tmp_path / "notes.safetensors").write_text("mine")
    history.begin(0.25, 20)
    assert list(kept_policies(tmp_path)) == [10, 20]
    assert (tmp_path / "notes.safetensors").exists()
    assert [history.is_due(share) for share in (0.27, 0.3, 0.31)] == [False, True, False]


def test_a_damaged_policy_is_refused(tmp_path: Path) -> None:
    """Its name carries its hash."""
    keep(PolicyHistory(tmp_path, 10), 10)
    (path,) = kept_policies(tmp_path).values()
    assert read_policy(path) == b"weights"
    path.write_bytes(b"weightz")
    with pytest.raises(SnapshotError, match="is damaged"):
        read_policy(path)
    path.unlink()
    with pytest.raises(SnapshotError, match="cannot be read"):
        read_policy(path)


def test_kept_policies_are_players(tmp_path: Path) -> None:
    """``snapshot:RUN/main@40``, the policy after iteration 40."""
    run = make_run(tmp_path / "run")
    data = member_file(run, "v0001").read_bytes()
    with pytest.raises(SnapshotError, match=r"has not kept main of iteration 40: set checkpoint\.history"):
        encode_player(f"snapshot:{run}/main@40")
    keep(PolicyHistory(RunFolder(run).history, 1), 40, data)
    player = encode_player(f"snapshot:{run}/main@40")
    assert (player.name, player.kind, player.iteration, player.data) == ("run/main@40", "main", 40, data)
    with pytest.raises(SnapshotError, match="has not kept main of iteration 4: choose one of 40"):
        encode_player(f"snapshot:{run}/main@4")


def test_a_run_goes_on_with_its_own_settings_only(tmp_path: Path) -> None:
    """What its checkpoints depend on cannot change; nothing is trained before that is known."""
    run = RunFolder(make_run(tmp_path / "run"))
    run.write_settings(load_settings(overrides=["network.width=16"]))
    with pytest.raises(RunFolderError, match=r"network cannot change once a run has begun"):
        train_or_resume(load_settings(overrides=["network.width=32"]), run.path)
    with pytest.raises(RunFolderError, match=r"is a run of algorithm=ppo and cannot go on with algorithm=apex"):
        train_or_resume(load_settings(overrides=["algorithm=apex"]), run.path)
    shutil.rmtree(run.path)
    done = call("train", "--continue")
    assert (done.returncode, done.stderr) == (
        2,
        "connectfour: --continue needs --run-dir: name the folder of the run\n",
    )
    done = call("train", "--continue", "--resume", run.path)
    assert "leave out --config, --run-dir and --continue" in done.stderr
