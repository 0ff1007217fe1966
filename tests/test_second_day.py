"""A run on its second day: killed, resumed, read while it trains, and written by an earlier release."""

from __future__ import annotations

import csv
import itertools
import json
import os
import signal
import socket
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from connectfour.errors import SnapshotError
from connectfour.league.manifest import Manifest, members_in, read_members, write_manifest
from connectfour.league.members import MAIN, Member
from connectfour.league.snapshots import SnapshotStore, decode_snapshot, encode_snapshot
from connectfour.players.names import encode_members, encode_player
from connectfour.runs.folder import RunFolder
from connectfour.runs.leftovers import clear_leftovers, note_session
from connectfour.system.observer import Observer
from connectfour.tournament.plan import Limits
from connectfour.tournament.session import rank
from connectfour.training.train import resume, train
from tests.commands import call, call_process, command
from tests.leagues import LOCKSTEP, tiny_settings
from tests.runs import make_run, member_file

OLD_RUNS = Path(__file__).parent / "fixtures"

SMALL = (
    *("-p", "network.width=16", "-p", "network.layers=1", "-p", "league.opponents=[heuristic:random]"),
    *("-p", "league.opponent_count=3", "-p", "rollout.env_runners=1", "-p", "rollout.envs_per_runner=64"),
    *("-p", "ppo.batch_size=2048", "-p", "ppo.minibatch_size=512", "-p", "grading.every=0"),
)


FREEZING = (
    *("-p", "league.win_rate_threshold=0.01", "-p", "league.min_games=1"),
    *("-p", "league.newest_threshold=0", "-p", "league.newest_games=1"),
)


@contextmanager
def training(folder: Path, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Run ``connectfour train`` in a process that is killed afterwards."""
    process = subprocess.Popen(
        command("train", *arguments),
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for_line(process: subprocess.Popen[str], text: str) -> None:
    """Wait until a process prints ``text``."""
    assert process.stdout
    lines = []
    for line in process.stdout:
        lines.append(line)
        if text in line:
            return
    pytest.fail(f"{text!r} never came: {''.join(lines)}")


def is_alive(process_id: int) -> bool:
    """Return whether a process is there and is more than an entry that nobody has collected."""
    try:
        return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def iterations(run: Path) -> list[int]:
    """Return the iterations in progress.csv."""
    with (run / "progress.csv").open() as stream:
        return [int(row["iteration"]) for row in csv.DictReader(stream)]


@pytest.mark.parametrize("name", ["ppo", "apex"])
@pytest.mark.slow
def test_a_run_of_an_earlier_release_goes_on_and_is_ranked(name: str, ray_session: None, tmp_path: Path) -> None:
    """Its settings, snapshots, progress and checkpoint are read; from then on it is a run of this release."""
    with tarfile.open(OLD_RUNS / f"{name}_run_0.1.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    run = tmp_path / name
    before, snapshots = iterations(run), {file.name for file in (run / "league").glob("v*.safetensors")}
    assert "\n  head: " in (run / "config.yaml").read_text()
    result = resume(run, ["stop.env_steps=16000"], observer=Observer())
    assert result.last.env_steps >= 16_000
    assert iterations(run) == list(range(1, result.last.iteration + 1))
    assert result.last.iteration > len(before)
    assert snapshots < {file.name for file in (run / "league").glob("v*.safetensors")}
    assert "\n  head: " not in (run / "config.yaml").read_text()
    ranking = rank([run], limits=Limits(matches=20))
    main = ranking.log.name_of(encode_player(f"snapshot:{run}/main"))
    assert main, "perhaps as the snapshot that was frozen last"
    assert {"v0001", main} < {line.name for line in ranking.standings}


@pytest.mark.slow
def test_a_run_killed_before_its_first_checkpoint_starts_again(tmp_path: Path) -> None:
    """It has settings and nothing else; ``train`` names the command that starts it, which says what it does."""
    with training(tmp_path, "--run-dir", "early", *SMALL, "-p", "stop.env_steps=4096") as process:
        wait_for_line(process, "Training in early")
        process.kill()
    run = RunFolder(tmp_path / "early")
    with run.lock():
        assert run.newest_checkpoint() is None
    refused = call("train", "--run-dir", "early", cwd=tmp_path)
    assert refused.returncode == 3
    assert "or resume it: connectfour train --resume early" in refused.stderr
    done = call_process("train", "--resume", "early", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "early has no checkpoint yet: starting it from the beginning, until " in done.stdout
    assert iterations(tmp_path / "early") == [1, 2]


@pytest.mark.slow
def test_the_first_checkpoint_comes_with_the_first_iteration(ray_session: None, tmp_path: Path) -> None:
    """And later ones by time, however seldom iterations ask for one."""
    limits = ("stop.minutes=null", "stop.env_steps=8192", "checkpoint.every=1000")
    seldom = train(tiny_settings(*LOCKSTEP, *limits), tmp_path / "seldom", observer=Observer())
    saved = sorted(path.name for path in seldom.run.checkpoints.glob("*/checkpoint_*"))
    assert saved == ["checkpoint_000000", "checkpoint_000001"], "the first and the last"
    settings = tiny_settings(*LOCKSTEP, *limits, "checkpoint.minutes=1e-9", "checkpoint.keep=9")
    often = train(settings, tmp_path / "often", observer=Observer())
    assert len(list(often.run.checkpoints.glob("*/checkpoint_*"))) == 4, "one an iteration"


@pytest.mark.slow
def test_a_killed_run_is_resumed_when_its_trainer_has_ended(tmp_path: Path) -> None:
    """The trainer outlives the command by seconds, and holds the league's lock until it is gone."""
    with training(tmp_path, "--run-dir", "killed", *SMALL, *FREEZING, "-p", "checkpoint.every=1") as process:
        wait_for_line(process, "froze v0003")
        league = tmp_path / "killed" / "league"
        trainer = int((league / ".lock.owner").read_text().split()[1])
        assert trainer != process.pid
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        with RunFolder(tmp_path / "killed").lock():
            assert not is_alive(trainer)
            newest = RunFolder(tmp_path / "killed").newest_checkpoint()
    assert newest
    steps = newest.env_steps + 4096
    done = call_process("train", "--resume", "killed", "-p", f"stop.env_steps={steps}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"Resuming killed at iteration {newest.iteration}" in done.stdout


@pytest.mark.slow
def test_of_two_commands_that_start_together_one_trains(tmp_path: Path) -> None:
    """The other says who holds the folder."""
    arguments = command("train", "--run-dir", "same", *SMALL, "-p", "stop.env_steps=2048")
    processes = [
        subprocess.Popen(arguments, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    outputs = [process.communicate() for process in processes]
    assert sorted(process.returncode for process in processes) == [0, 3]
    loser = next(number for number, process in enumerate(processes) if process.returncode)
    winner = processes[1 - loser]
    assert outputs[loser][1].startswith(f"connectfour: process {winner.pid} on host ")
    assert "is training in same: wait for it or stop it" in outputs[loser][1]


def save_main(store: SnapshotStore, iteration: int) -> None:
    """Replace main as training does: its file, the manifest, then the file of the save before the last."""
    before = members_in(store.manifest)[MAIN]
    main = store.save(MAIN, "main", encode_snapshot(store.load(before), iteration=iteration, env_steps=iteration))
    manifest = json.loads(store.manifest.read_bytes())
    write_manifest(store.manifest, Manifest.model_validate({**manifest, "main": main}))
    store.remove_mains({main.file, before.file})


def test_main_is_readable_while_training_replaces_it(tmp_path: Path) -> None:
    """Readers never meet a file that is half written, gone, or not the one that the manifest names."""
    run = make_run(tmp_path / "run")
    store, stop = SnapshotStore(RunFolder(run).league), threading.Event()

    def rewrite() -> None:
        for iteration in itertools.count(1):
            save_main(store, iteration)
            if stop.is_set():
                return

    writer = threading.Thread(target=rewrite)
    writer.start()
    try:
        names = set()
        for _ in range(10_000):
            names.add(encode_player(f"snapshot:{run}/main").iteration)
        assert len(names) > 10
        assert {player.name for player in encode_members(RunFolder(run))} >= {"v0001", "v0002"}
    finally:
        stop.set()
        writer.join()
    assert len(list(store.folder.glob("main*.safetensors"))) == 2, "the newest and the one before"


def test_a_reader_that_misses_main_reads_the_manifest_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two saves between its reading of the manifest and of the file took the file away."""
    run = make_run(tmp_path / "run")
    store, late = SnapshotStore(RunFolder(run).league), [11, 12]

    def read_slowly(folder: RunFolder) -> dict[str, Member]:
        members = read_members(folder)
        while late:
            save_main(store, late.pop(0))
        return members

    monkeypatch.setattr("connectfour.players.names.read_members", read_slowly)
    assert encode_player(f"snapshot:{run}/main").iteration == 12
    late += [13, 14]
    assert "main@14" in {player.name for player in encode_members(RunFolder(run))}


def test_a_kill_between_main_and_manifest_changes_nothing(tmp_path: Path) -> None:
    """The manifest names the file of the save before, which is still there."""
    run = make_run(tmp_path / "run")
    store, main = SnapshotStore(RunFolder(run).league), read_members(RunFolder(run))[MAIN]
    store.save(MAIN, "main", encode_snapshot(store.load(main), iteration=99, env_steps=1))
    assert encode_player(f"snapshot:{run}/main").iteration == main.iteration


def test_a_missing_file_is_still_an_error(tmp_path: Path) -> None:
    """Reading the manifest again ends when it has not changed."""
    run = make_run(tmp_path / "run")
    member_file(run, "v0001").unlink()
    with pytest.raises(SnapshotError, match=r"v0001-\w+\.safetensors is missing, though the manifest names it"):
        encode_members(RunFolder(run))


def test_weights_with_a_flipped_bit_are_refused(tmp_path: Path) -> None:
    """Their hash is in the file, wherever the file lies."""
    run = make_run(tmp_path / "run")
    data = bytearray(member_file(run, "v0001").read_bytes())
    data[-3] ^= 0x40
    with pytest.raises(SnapshotError, match="its weights do not match their hash"):
        decode_snapshot(bytes(data), "it")


@pytest.mark.slow
def test_a_resume_clears_what_a_killed_process_left(ray_session: None, tmp_path: Path) -> None:
    """Half-written files, checkpoints and snapshots, Tune's old state, and Ray's folder; nothing that is in use."""
    run = RunFolder(tmp_path / "run")
    steps = ("stop.minutes=null", "league.freeze_every=4096")
    train(tiny_settings(*LOCKSTEP, *steps, "stop.env_steps=8192"), run.path, observer=Observer())
    session = tmp_path / "session_2026-01-01_00-00-00_1_1"
    (part,) = run.checkpoints.glob("part_*")
    files = [
        run.path / ".config.4711.tmp.yaml",
        run.league / ".manifest.4711.tmp.json",
        run.league / "v0099-0123456789ab.safetensors",
        run.league / ".saving-abc" / "algorithm_state.pkl",
        part / "checkpoint_000099" / "main.safetensors",
        run.checkpoints / "experiment_state-2026-01-01_00-00-00.json",
        session / "logs" / "raylet.out",
    ]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("half")
    note = {"session": str(session), "host": socket.gethostname(), "process": 2**22 + 1, "run": str(run.path.resolve())}
    run.session.write_text(json.dumps(note))
    kept = [run.league / "best-backup.safetensors", run.path / f".leaderboard.{os.getpid()}.tmp.csv"]
    for file in kept:
        file.write_text("of use")
    before = {path for path in run.league.iterdir() if path.suffix == ".safetensors"} - set(files)
    resume(run.path, ["stop.env_steps=12288"], observer=Observer())
    assert [file for file in files if file.exists()] == []
    assert not session.exists()
    assert all(file.exists() for file in kept)
    assert not run.session.exists()
    assert {path for path in before if path.name.startswith("v")} <= set(run.league.iterdir())


def test_a_resume_keeps_what_may_be_of_use(tmp_path: Path) -> None:
    """A Ray that lives, for example of the run that a folder was copied from, and checkpoints if none is whole."""
    run = RunFolder(tmp_path / "run")
    session = tmp_path / "session_of_another_run"
    checkpoint = run.checkpoints / "part_1" / "checkpoint_000000"
    for folder in (run.league, session, checkpoint):
        folder.mkdir(parents=True)
    (checkpoint / "main.safetensors").write_text("whole")
    (tmp_path / "another").mkdir()
    note_session(RunFolder(tmp_path / "another"), session)
    run.session.write_bytes((tmp_path / "another" / ".session").read_bytes())
    clear_leftovers(run)
    assert session.exists()
    assert checkpoint.exists()


@pytest.mark.slow
def test_checkpoints_are_counted_over_all_parts(ray_session: None, tmp_path: Path) -> None:
    """Those of the part that trains displace the earlier ones; the newest of all can be resumed."""
    run = RunFolder(tmp_path / "run")
    keep = ("stop.minutes=null", "checkpoint.keep=2", "checkpoint.every=1")
    train(tiny_settings(*LOCKSTEP, *keep, "stop.env_steps=8192"), run.path, observer=Observer())
    resume(run.path, ["stop.env_steps=16384"], observer=Observer())
    parts = [path.parent.name for path in run.checkpoints.glob("*/checkpoint_*")]
    assert set(parts) == {"part_2"}
    assert len(parts) <= 3, "the best two, and the newest if it is not one of them"
    newest = run.newest_checkpoint()
    assert newest is not None
    assert newest.env_steps == 16_384
    log = run.checkpoints / "part_2" / "result.json"
    results = [json.loads(line) for line in log.read_text().splitlines()]
    assert all(set(each["learners"]) == {"main", "__all_modules__"} and "config" not in each for each in results)
