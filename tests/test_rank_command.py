"""``connectfour rank`` and ``rehearse`` as a user meets them."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands import call, call_process, command

HEURISTICS = ("heuristic:random", "heuristic:linear", "heuristic:tactical")


def games(folder: Path) -> list[int]:
    """Return the ids in the log of a ranking."""
    lines = (folder / "matches.jsonl").read_text().splitlines()
    return [row["id"] for line in lines if "id" in (row := json.loads(line))]


@pytest.fixture(scope="module")
def ranking(ranked_run: Path, ray_session: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A ranking of heuristics and of an exported network, and what the command printed."""
    folder = tmp_path_factory.mktemp("rankings")
    players = (*HEURISTICS, f"onnx:{ranked_run}/app/models/v0001.onnx")
    done = call("rank", *players, "--matches", 40, "--output", folder / "new" / "first", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return folder / "new" / "first", done.stdout


def test_players_alone_are_ranked_and_the_leaderboard_printed(ranking: tuple[Path, str]) -> None:
    """With the anchors, a status line, and the files; it fits 80 columns."""
    folder, printed = ranking
    assert sorted(file.name for file in folder.iterdir() if not file.name.startswith(".")) == [
        "crosstable.csv",
        "leaderboard.csv",
        "leaderboard.png",
        "matches.jsonl",
    ]
    assert sorted(games(folder)) == list(range(1, 41))
    assert '"greedy":true' in (folder / "matches.jsonl").read_text().splitlines()[0]
    assert "40 games" in printed
    for name in ("random", "linear", "tactical", "minimax:2", "minimax:4", "v0001"):
        (line,) = [line for line in printed.splitlines() if f" {name} " in line]
        assert len(line) <= 80
    assert re.search(
        r"40/40 games, 0 pending, no errors, .* games/s, \d+:\d\d elapsed.*; .* s for games, .* s for log and ratings",
        printed,
    )
    assert "Ray: 1 node, 6 workers, 6 cores" in printed
    assert f"every game: {folder}/matches.jsonl" in printed


def test_the_log_alone_rebuilds_the_tables(ranking: tuple[Path, str], tmp_path: Path) -> None:
    """From a copy of the log alone, byte for byte, without naming players."""
    folder, _ = ranking
    (tmp_path / "matches.jsonl").write_bytes((folder / "matches.jsonl").read_bytes())
    done = call("rank", "--rebuild", "--output", tmp_path)
    assert done.returncode == 0, done.stderr
    for name in ("leaderboard.csv", "crosstable.csv"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()
    done = call("rank", "--rebuild", "--order", "trueskill", "--output", tmp_path)
    assert done.returncode == 0, done.stderr
    rows = csv.DictReader((tmp_path / "leaderboard.csv").open())
    ratings = [float(row["trueskill_mu"]) for row in rows]
    assert ratings == sorted(ratings, reverse=True)
    (line,) = [line for line in done.stdout.splitlines() if " minimax:4 " in line]
    assert " ts mu " in done.stdout
    assert len(line) <= 80


@pytest.mark.usefixtures("ray_session")
@pytest.mark.slow
def test_ctrl_c_stops_a_ranking_that_can_be_resumed(tmp_path: Path) -> None:
    """Finished games count, the tables are written, and the same command plays the rest."""
    arguments = ("rank", *HEURISTICS, "--matches", 100_000, "--batch", 8, "--output", tmp_path)
    process = subprocess.Popen(
        command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout
    assert process.stderr
    for line in process.stdout:
        if "/100,000 games" in line and not line.startswith("0/"):
            process.send_signal(signal.SIGINT)
            break
    rest, errors = process.communicate()
    assert process.returncode == 0
    assert "Stopping after the games under way; the same command resumes" in errors
    assert "leaderboard.csv" in rest
    played = games(tmp_path)
    assert len(played) == len(set(played)) >= 8
    shorter = (*arguments[:5], len(played) + 16, *arguments[6:])
    assert call(*shorter).returncode == 0
    after = games(tmp_path)
    assert after[: len(played)] == played
    assert len(after) == len(set(after)) == len(played) + 16


@pytest.mark.usefixtures("ray_session")
@pytest.mark.parametrize(("option", "value"), [("--until-sigma", 3), ("--until-settled", 100)])
@pytest.mark.slow
def test_a_ranking_ends_when_skills_are_certain_or_the_order_is_settled(
    option: str, value: int, tmp_path: Path
) -> None:
    """Started again, it has nothing left to play."""
    arguments = ("rank", *HEURISTICS, option, value, "--output", tmp_path)
    assert call(*arguments).returncode == 0
    played = games(tmp_path)
    assert 20 < len(played) < 5000
    assert call(*arguments).returncode == 0
    assert games(tmp_path) == played


@pytest.mark.usefixtures("ray_session")
def test_a_share_of_the_games_ends_a_ranking(tmp_path: Path) -> None:
    """With a leaderboard as usual; started again, it has nothing left to play."""
    arguments = ("rank", *HEURISTICS, "--matches", 40, "--share", 0.5, "--output", tmp_path)
    done = call(*arguments)
    assert done.returncode == 0
    assert "Stopped at 0.5 of the planned games" in done.stdout
    assert (tmp_path / "leaderboard.csv").is_file()
    played = games(tmp_path)
    assert len(played) == 20
    assert call(*arguments).returncode == 0
    assert games(tmp_path) == played


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ("rank heuristic:nobody", 5, "'nobody'"),
        ("rank nowhere", 3, "nowhere is not a run folder"),
        ("rank", 2, "name a run folder or players"),
        ("rank heuristic:linear --until-sigma 0", 2, "the limit sigma is 0: choose a number above 0"),
        ("rank heuristic:linear --minutes 0", 2, "the limit minutes is 0: choose a number above 0"),
        ("rank heuristic:linear --share 1.5", 2, "the limit share is 1.5: choose a number above 0 and at most 1"),
        ("rank --rebuild --output nowhere", 9, "matches.jsonl does not exist"),
        ("rank heuristic:linear --output file", 9, "file is a file, not a folder: choose another --output"),
        ("rank heuristic:linear --output file/new", 9, "file is a file, not a folder"),
        ("rank heuristic:linear --output taken", 9, "taken/leaderboard.csv cannot be written"),
        (
            "rehearse --figure accuracy.jpg",
            9,
            "unsupported picture format 'accuracy.jpg': use a name that ends in .png",
        ),
        ("rehearse --figure folder.png", 9, "folder.png is a folder"),
        ("rehearse --figure file/accuracy.png", 9, "file is a file, not a folder"),
    ],
)
def test_wrong_input_gets_one_sentence(
    arguments: str,
    code: int,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And an exit code of its own, no traceback, and no work."""
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("not a folder")
    Path("taken", "leaderboard.csv").mkdir(parents=True)
    Path("folder.png").mkdir()
    before = sorted(tmp_path.rglob("*"))
    done = call(*arguments.split())
    assert done.returncode == code
    assert message in done.stderr
    assert done.stderr.startswith("connectfour: ")
    assert len(done.stderr.strip().splitlines()) == 1
    assert not done.stdout
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("command_line", ["rank heuristic:linear --matches 4", "rehearse --num-matches 4"])
def test_an_address_without_a_cluster_is_refused(command_line: str, tmp_path: Path) -> None:
    """In one sentence, before anything is graded or played."""
    done = call_process(*command_line.split(), "--address", "127.0.0.1:1", cwd=tmp_path)
    assert done.returncode == 10
    assert done.stderr.startswith("connectfour: no Ray cluster answers at '127.0.0.1:1'")
    assert len(done.stderr.strip().splitlines()) == 1
    assert not done.stdout


@pytest.mark.slow
def test_ranking_and_rehearsing_on_a_cluster(tmp_path: Path) -> None:
    """``--address`` uses a running Ray, which stays."""
    script = """
import os, subprocess, sys
os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
import ray
options = {"num_cpus": 2, "include_dashboard": False, "log_to_driver": False}
address = ray.init(address="local", **options).address_info["gcs_address"]
for arguments in (["rehearse", "--num-matches", "30", "--hang-rate", "0"],
                  ["rank", "heuristic:linear", "--matches", "12", "--output", "ranking"]):
    done = subprocess.run([sys.executable, "-m", "connectfour", *arguments, "--address", address])
    assert done.returncode == 0
assert len([node for node in ray.nodes() if node["Alive"]]) == 1
print("still here")
"""
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, check=False, capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert "still here" in done.stdout
    assert done.stdout.count("Ray: 1 node, 2 workers, 2 cores") == 2
    assert len(games(tmp_path / "ranking")) == 12
