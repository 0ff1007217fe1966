"""The same run twice: limited by env steps, one thread, no remote env runner, it ends with the same weights."""

from __future__ import annotations

from pathlib import Path

import pytest

import connectfour as cf
from connectfour.league.manifest import read_members
from connectfour.runs.folder import RunFolder
from connectfour.system.observer import Observer

SMALL = [
    *("rollout.env_runners=0", "stop.minutes=null", "stop.env_steps=6000", "network.width=32"),
    *("rollout.envs_per_runner=64", "ppo.batch_size=2000", "ppo.minibatch_size=500", "league.min_games=10"),
    *("league.freeze_every=4000", "checkpoint.history=2"),
]


@pytest.mark.usefixtures("ray_session")
@pytest.mark.slow
def test_the_same_run_twice_gives_the_same_weights(tmp_path: Path) -> None:
    """Main, the snapshots, and what was kept on the way."""
    settings = cf.load_settings(overrides=SMALL)
    hashes, kept = [], []
    for name in ("a", "b"):
        cf.train(settings, tmp_path / name, observer=Observer())
        members = read_members(RunFolder(tmp_path / name))
        hashes.append({member.id: member.weights_sha256 for member in members.values() if member.file})
        kept.append(sorted(path.name for path in (tmp_path / name / "history").iterdir()))
    assert hashes[0].keys() == {"v0001", "main"}
    assert hashes[0] == hashes[1]
    assert kept[0] == kept[1]
    assert len(kept[0]) == 2
