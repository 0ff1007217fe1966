"""The command line as a user meets it, with a real training run."""

from __future__ import annotations

import csv
import json
import math
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from connectfour.league.manifest import members_in
from connectfour.league.snapshots import SnapshotStore
from connectfour.runs.folder import RunFolder
from connectfour.settings.reading import dump_settings
from tests.commands import Finished, call, call_process, command
from tests.leagues import tiny_settings
from tests.runs import member_file

TINY = tiny_settings(
    "rollout.env_runner=lockstep",
    "rollout.env_runners=1",
    "rollout.envs_per_runner=8",
    "learners=1",
    "league.win_rate_threshold=0.01",
    "league.min_games=1",
    "checkpoint.every=2",
    "stop.minutes=10",
)


def rows(run: Path) -> list[dict[str, str]]:
    """Return the rows of progress.csv."""
    with (run / "progress.csv").open() as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny run that was stopped with Ctrl-C."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "tiny.yaml").write_text(dump_settings(TINY))
    process = subprocess.Popen(
        command("train", "--config", folder / "tiny.yaml", "--run-dir", "runs/tiny"),
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if "froze v0003" in line:
            # As a terminal does it: to every process of the group.
            os.killpg(process.pid, signal.SIGINT)
    assert process.wait() == 0, "".join(lines)
    (folder / "output.txt").write_text("".join(lines))
    return folder / "runs" / "tiny"


def test_ctrl_c_ends_with_a_checkpoint_and_the_command_that_resumes(run: Path) -> None:
    """One checkpoint at the very last iteration, no traceback, no chatter of Ray's."""
    output = (run.parent.parent / "output.txt").read_text()
    assert "Stopping after this iteration" in output
    assert "connectfour train --resume runs/tiny\n" in output
    assert "Traceback" not in output
    assert "WARNING" not in output
    assert "iteration 1: " in output
    shown = [line.partition(":")[0] for line in output.splitlines() if line.startswith("iteration")]
    assert len(shown) == len(set(shown)), "a signal in the middle of a line does not print it twice"
    checkpoint = RunFolder(run).newest_checkpoint()
    assert checkpoint
    assert checkpoint.iteration == int(rows(run)[-1]["iteration"])


def test_the_run_folder_is_complete(run: Path) -> None:
    """Settings, progress, snapshots with the manifest's hashes, main as of the last checkpoint."""
    assert RunFolder(run).read_settings([]) == TINY
    store = SnapshotStore(run / "league")
    members = members_in(RunFolder(run).manifest)
    assert {"random", "linear", "v0001", "v0002", "v0003", "main"} <= set(members)
    for member in members.values():
        if member.file:
            store.load(member)
    assert members["main"].iteration == int(rows(run)[-1]["iteration"])
    assert (run / "learning.png").read_bytes().startswith(b"\x89PNG")
    manifest = json.loads((run / "league" / "manifest.json").read_text())
    assert {"first", "second", "win", "draw", "loss"} == set(manifest["payoff"][0])


@pytest.mark.usefixtures("ray_session")
@pytest.mark.slow
def test_resume_goes_on_where_it_was(run: Path) -> None:
    """Same members with the same hashes, pay-offs kept, iterations and steps counted on."""
    before, before_rows = members_in(RunFolder(run).manifest), rows(run)
    games_before = _games(run)
    steps = int(before_rows[-1]["env_steps"]) + 600
    resumed = call("train", "--resume", run, "-p", f"stop.env_steps={steps}")
    assert resumed.returncode == 0, resumed.stderr
    assert f"Resuming {run} at iteration {before_rows[-1]['iteration']}" in resumed.stdout
    after_rows = rows(run)
    assert after_rows[: len(before_rows)] == before_rows
    assert [int(row["iteration"]) for row in after_rows] == list(range(1, len(after_rows) + 1))
    assert int(after_rows[-1]["env_steps"]) >= steps
    env_steps = [int(row["env_steps"]) for row in after_rows]
    assert env_steps == sorted(env_steps)
    assert env_steps[len(before_rows)] < env_steps[len(before_rows) - 1] + 400
    after = members_in(RunFolder(run).manifest)
    for name, member in before.items():
        if member.kind == "snapshot":
            assert after[name].sha256 == member.sha256
    assert int(after_rows[-1]["league_size"]) >= int(before_rows[-1]["league_size"])
    games_after = _games(run)
    assert all(games_after[pair] >= games for pair, games in games_before.items())


def _games(run: Path) -> dict[tuple[str, str], int]:
    manifest = json.loads((run / "league" / "manifest.json").read_text())
    return {(row["first"], row["second"]): row["win"] + row["draw"] + row["loss"] for row in manifest["payoff"]}


def test_a_limit_that_is_reached_says_how_to_raise_it(run: Path) -> None:
    """Resuming would end at once."""
    ended = call("train", "--resume", run, "-p", "stop.env_steps=100")
    assert ended.returncode == 3
    assert "has reached its limit of stop.env_steps = 100" in ended.stderr


def test_a_snapshot_of_the_run_plays(run: Path) -> None:
    """By its short name, with scores by seat that add up."""
    match = call("match", f"snapshot:{run}/v1", "heuristic:random", "--games", "21")
    assert match.returncode == 0, match.stderr
    assert "tiny/v0001 against random" in match.stdout
    assert "11" in match.stdout.split("first")[1].splitlines()[0]


def test_the_best_of_a_run_is_graded(run: Path) -> None:
    """The member with the best grade in the manifest, which a JSON object repeats to the last digit."""
    members = members_in(RunFolder(run).manifest).values()
    grades = {member.id: member.graded for member in members if member.file}
    assert None not in grades.values()
    done = call("grade", f"snapshot:{run}/best", "--positions", "dev", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    best = told["player"].removeprefix("tiny/")
    assert grades[best] == max(grades.values(), key=lambda share: share or 0)
    assert told["shares"]["all"]["value_preserving_share"] == grades[best]
    assert sum(share["positions"] for name, share in told["shares"].items() if name.startswith("plies")) == 3279


def test_grade_prints_a_table_that_fits_a_narrow_terminal(run: Path) -> None:
    """Overall, by plies and by result, on the test half."""
    done = call("grade", "heuristic:tactical")
    assert "tactical on test" in done.stdout
    assert all(row in done.stdout for row in ("all ", "plies 28-34", "won ", "drawn ", "3278"))
    assert max(map(len, done.stdout.splitlines())) <= 80


def _refused(code: int, message: str, *arguments: object, cwd: Path) -> None:
    _check_refusal(call(*arguments, cwd=cwd), code, message)


def _check_refusal(done: Finished, code: int, message: str) -> None:
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert "Traceback" not in done.stderr


def test_wrong_input_gets_one_sentence_and_an_exit_code(run: Path, tmp_path: Path) -> None:
    """No traceback, and nothing is written."""
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "config.yaml").write_text("seed: 1\n")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    cases: list[tuple[int, str, tuple[object, ...]]] = [
        (2, "did you mean 'ppo.learning_rate'", ("train", "-p", "ppo.learning_rat=1")),
        (2, "input should be greater than 0", ("train", "-p", "ppo.learning_rate=-1")),
        (2, "unknown heuristic 'nobody'", ("train", "-p", "league.opponents=[heuristic:nobody]")),
        (2, "cannot read nothing.yaml", ("train", "--config", "nothing.yaml")),
        (2, "leave out --config, --run-dir and --continue", ("train", "--resume", run, "--run-dir", "x")),
        (2, "these settings need about", ("train", "-p", "rollout.envs_per_runner=99999999999")),
        (2, "unknown algorithm 'apex9'", ("train", "-p", "algorithm=apex9")),
        (2, "unknown logger 'tensorbord': choose wandb, mlflow, aim", ("train", "--logger", "tensorbord")),
        (2, "--logger aim needs the package aim: pip install aim", ("train", "--logger", "aim")),
        (3, f"{run} already exists", ("train", "--run-dir", run)),
        (3, "or resume it: connectfour train --resume half\n", ("train", "--run-dir", "half")),
        (3, "choose another --run-dir\n", ("train", "--run-dir", "other")),
        (1, "config.yaml/x: not a directory", ("train", "--run-dir", "half/config.yaml/x")),
        (3, "nowhere does not exist", ("train", "--resume", "nowhere")),
        (3, "is not a run folder", ("train", "--resume", run / "league")),
        (3, "network cannot change", ("train", "--resume", run, "-p", "network.width=8")),
        (5, "unknown player 'linear'", ("match", "linear", "random")),
        (5, "unknown player 'linear'", ("grade", "linear")),
        (8, "cannot read none.csv", ("grade", "heuristic:linear", "--positions", "none.csv")),
    ]
    for code, message, arguments in cases:
        _refused(code, message, *arguments, cwd=tmp_path)
    shutil.rmtree(tmp_path / "half")
    shutil.rmtree(tmp_path / "other")
    assert list(tmp_path.iterdir()) == []


def test_an_address_without_a_cluster_gets_one_sentence_from_the_process(tmp_path: Path) -> None:
    """Ray prints nothing, and no run folder is left behind."""
    arguments = ("train", "--address", "127.0.0.1:1", "-p", "rollout.envs_per_runner=99999999999")
    _check_refusal(call_process(*arguments, cwd=tmp_path), 10, "no Ray cluster answers at '127.0.0.1:1'")
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_snapshot_is_refused_by_name(run: Path, tmp_path: Path) -> None:
    """One byte in the middle of the file."""
    file = member_file(run, "v0002")
    whole = file.read_bytes()
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 1
    try:
        file.write_bytes(damaged)
        _refused(4, f"{file.name} is damaged", "match", f"snapshot:{run}/v2", "heuristic:random", cwd=tmp_path)
    finally:
        file.write_bytes(whole)


@pytest.mark.parametrize("damage", ["cut", "zeroed", "missing"])
def test_a_damaged_checkpoint_is_passed_over(damage: str, run: Path) -> None:
    """The run resumes from the one before, and says which one it skipped and why."""
    folder, said = RunFolder(run), list[str]()
    newest = folder.newest_checkpoint(said.append)
    assert newest
    assert not said
    victim = next(newest.path.glob("learner_group/learner/state.pkl"))
    whole = victim.read_bytes()
    damaged = {"cut": whole[: len(whole) // 2], "zeroed": bytes(len(whole)), "missing": None}[damage]
    try:
        victim.unlink()
        if damaged is not None:
            victim.write_bytes(damaged)
        older = folder.newest_checkpoint(said.append)
        assert older
        assert older.iteration < newest.iteration
        reason = "is missing" if damaged is None else "is damaged"
        assert said == [f"Skipping the checkpoint {newest.path}: learner_group/learner/state.pkl {reason}."]
    finally:
        victim.write_bytes(whole)


def test_a_damaged_manifest_stops_a_resumption_with_a_sentence(run: Path, tmp_path: Path) -> None:
    """Before anything is started or written."""
    manifest = run / "league" / "manifest.json"
    whole = manifest.read_bytes()
    try:
        manifest.write_bytes(whole[: len(whole) // 2])
        _refused(4, "manifest.json is damaged", "train", "--resume", run, cwd=tmp_path)
    finally:
        manifest.write_bytes(whole)


def test_remote_learners_learn_through_the_command(run: Path) -> None:
    """The command starts Ray with the cores that a remote learner needs besides the env runner."""
    assert RunFolder(run).read_settings([]).learners == 1
    assert all(math.isfinite(float(row["policy_loss"])) for row in rows(run))


def test_one_process_at_a_time(run: Path, tmp_path: Path) -> None:
    """A second one would write the same files."""
    with RunFolder(run).lock():
        for arguments in (("--resume", run), ("--run-dir", run)):
            _refused(3, f"process {os.getpid()} on host ", "train", *arguments, cwd=tmp_path)


def test_parts_are_numbered_on_when_one_was_removed(tmp_path: Path) -> None:
    """A new part must not be written over one that is still there."""
    for name in ("part_2", "part_10"):
        (tmp_path / "checkpoints" / name).mkdir(parents=True)
    assert RunFolder(tmp_path).next_part() == "part_11"


def test_help_and_version() -> None:
    """Every command is listed with its purpose."""
    shown = call_process("--help").stdout
    assert all(name in shown for name in ("train", "grade", "match", "settings"))
    assert call("--version").stdout.startswith("connectfour 0.")
    assert "ppo.learning_rate" in call("settings").stdout
