"""What ``connectfour league`` says about a run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from connectfour.games.result import Score, SeatScores
from connectfour.league.manifest import Manifest, write_manifest
from connectfour.league.members import MAIN, Member
from connectfour.league.pool import OpponentPool
from connectfour.league.report import report_league
from connectfour.runs.folder import RunFolder
from connectfour.settings.league import LeagueSettings
from tests.commands import call

SETTINGS = LeagueSettings(opponents=("heuristic:random", "heuristic:linear"), opponent_count=3, revival_probability=0.0)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run in which two snapshots have taken the places of the oldest members."""
    folder = RunFolder(tmp_path / "run")
    folder.league.mkdir(parents=True)
    folder.config.write_text("algorithm: ppo\n")
    pool = OpponentPool(SETTINGS)
    pool.record({"random": SeatScores(Score(6, 1, 1), Score(2, 0, 0))})
    for iteration in (4, 9, 12):
        pool.admit(Member(id=pool.next_snapshot_id, kind="snapshot", iteration=iteration, env_steps=1000 * iteration))
    pool.record({"v0003": SeatScores(Score(3, 0, 1), Score())})
    main = Member(id=MAIN, kind="main", iteration=15, env_steps=15_000, graded=0.8)
    write_manifest(folder.manifest, Manifest(**dict(pool.to_state()), main=main))
    return folder.path


def test_who_is_in_and_who_has_left(run: Path) -> None:
    """Since when, until when, and what main scores."""
    report = report_league(run)
    assert [(each.id, each.joined, each.retired) for each in report.active] == [
        ("v0001", 4, None),
        ("v0002", 9, None),
        ("v0003", 12, None),
    ]
    assert [(each.id, each.joined, each.retired) for each in report.retired] == [("linear", 0, 12), ("random", 0, 9)]
    assert (report.active[2].games, report.active[2].score) == (4, 0.75)
    assert (report.retired[1].games, report.retired[1].score) == (10, 0.85)
    assert (report.active[0].games, report.active[0].score) == (0, None)


def test_a_freeze_says_who_left(run: Path) -> None:
    """For the log; a heuristic that comes back has joined anew."""
    pool = OpponentPool(SETTINGS.model_copy(update={"revival_probability": 1.0}))
    left = []
    for iteration in (4, 9, 12):
        pool.admit(Member(id=pool.next_snapshot_id, kind="snapshot", iteration=iteration))
        left.append(pool.retired)
    assert left[0] == []
    assert left[1] == ["random"]
    revived = pool.members["random"]
    assert (revived.joined, revived.retired) == (12, None)


def test_the_command_prints_tables_and_json(run: Path) -> None:
    """While the run trains, too."""
    printed = call("league", run)
    assert printed.returncode == 0
    assert "main after iteration 15, 15,000 env steps, graded 0.800; frozen 3 times" in printed.stdout
    assert "v0003" in printed.stdout
    data = json.loads(call("league", run, "--json").stdout)
    assert data["retired"][1] == {
        **dict.fromkeys(("iteration", "env_steps", "graded")),
        "id": "random",
        "kind": "heuristic",
        "joined": 0,
        "retired": 9,
        "games": 10,
        "score": 0.85,
    }


def test_a_folder_without_a_league_is_refused(tmp_path: Path) -> None:
    """With the command line's usual sentence."""
    printed = call("league", tmp_path / "nothing")
    assert printed.returncode == 3
    assert "does not exist: name a folder written by connectfour train" in printed.stderr
