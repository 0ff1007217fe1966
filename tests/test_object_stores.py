"""Runs in an object store: trained, resumed, ranked, graded and exported there, against a real S3 server."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from connectfour.league.manifest import members_in
from connectfour.league.members import MAIN
from connectfour.league.snapshots import weights_sha256
from connectfour.learning.sync import module_weights
from connectfour.players.names import encode_player
from connectfour.runs.folder import RunFolder
from connectfour.storage.remote import RemoteFolder
from connectfour.storage.working_copy import cache, readable
from tests.commands import call, call_process
from tests.leagues import LOCKSTEP, config

TINY = (
    *("-p", "network.width=16", "-p", "rollout.envs_per_runner=64", "-p", "rollout.env_runners=0"),
    *("-p", "ppo.batch_size=2048", "-p", "ppo.minibatch_size=512", "-p", "grading.every=0"),
)


def test_a_league_lives_there(store: RemoteFolder, ray_session: None, tmp_path: Path) -> None:
    """Its files are written back as they appear, and another process goes on from them."""
    algorithm = config(tmp_path / "unused", *LOCKSTEP).league(store=store).build_algo()
    try:
        algorithm.train()
        member = algorithm.league.freeze_main()
        saved = Path(algorithm.save_to_path(str(tmp_path / "checkpoint")))
        assert f"league/{member.file}" in store.files()
        before = weights_sha256(module_weights(algorithm))
    finally:
        algorithm.stop()
    assert not (tmp_path / "unused").exists()
    for file in saved.rglob("*"):
        if file.is_file():
            store.upload(f"checkpoints/part_1/checkpoint_000000/{file.relative_to(saved)}", file)
    resumed = config(tmp_path / "unused", *LOCKSTEP).league(
        store=store, restore_from="checkpoints/part_1/checkpoint_000000"
    )
    other = resumed.build_algo()
    try:
        assert weights_sha256(module_weights(other)) == before
        assert member.id in other.league.pool.members
    finally:
        other.stop()
    seen = RunFolder(readable(str(store), "league/*"))
    assert members_in(seen.manifest)[MAIN].weights_sha256 == before
    assert encode_player(f"snapshot:{store}/main").name == "first/main"


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("train", "--run-dir", "ftp://host/run"), 17, "is no address: write s3://BUCKET/KEY"),
        (("train", "--run-dir", "{store}", "-p", "storage=shared"), 2, "storage = shared is about paths, and s3://"),
        (("train", "--resume", "{store}"), 3, "{store} is not a run folder (config.yaml is missing)"),
        (("grade", "snapshot:{store}/main"), 3, "{store}"),
        (("export-onnx", "{store}"), 3, "{store}"),
    ],
)
def test_what_cannot_work_is_refused(
    store: RemoteFolder, ray_session: None, arguments: tuple[str, ...], code: int, sentence: str
) -> None:
    done = call(*(argument.format(store=store) for argument in arguments))
    assert done.returncode == code, done.stderr
    assert sentence.format(store=store) in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.cluster
def test_every_command_takes_an_address(store: RemoteFolder, tmp_path: Path) -> None:
    """Each begins without a copy, as on another machine."""

    def run(*arguments: object) -> str:
        shutil.rmtree(cache(), ignore_errors=True)
        done = call_process(*arguments, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("train", "--run-dir", store, "-p", "stop.env_steps=4096", "-p", "checkpoint.keep=1", *TINY)
    resumed = run("train", "--resume", store, "-p", "stop.env_steps=8192", "-p", "checkpoint.keep=1")
    assert f"Resuming {store} at iteration 2, 4,096 env steps" in resumed
    files = store.files()
    rows = (store.read("progress.csv") or b"").decode().splitlines()
    assert [row.partition(",")[0] for row in rows] == ["iteration", "1", "2", "3", "4"]
    checkpoints = {name.split("/checkpoint_")[0] for name in files if name.endswith("sealed.json")}
    assert checkpoints == {"checkpoints/part_2"}
    assert "league/manifest.json" in files
    assert f"{store}/leaderboard.csv" in run("rank", store, "--matches", 40)
    again = run("rank", store, "--matches", 60)
    assert "40 games already played" in again
    assert len((store.read("matches.jsonl") or b"").splitlines()) > 60
    assert "value-preserving" in run("grade", f"snapshot:{store}/main")
    assert f"of {store}/leaderboard.csv" in run("export-onnx", store, "--output", tmp_path / "model.onnx")
    refused = call_process("train", "--run-dir", store, cwd=tmp_path)
    assert f"{store} already exists" in refused.stderr
