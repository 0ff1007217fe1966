"""Folders in object stores: addresses, working copies and leases, against a real S3 server."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from connectfour.errors import RunFolderError, StorageError
from connectfour.storage import lease
from connectfour.storage.address import is_remote
from connectfour.storage.lease import leased
from connectfour.storage.mirror import Mirror
from connectfour.storage.remote import RemoteFolder, remote_folder
from connectfour.storage.working_copy import checked_out, readable, writable
from tests.web import free_port


def refusal(owner: str) -> RunFolderError:
    return RunFolderError(f"{owner} is here")


def forbidden(owner: str) -> RunFolderError:
    raise AssertionError(owner)


class TestAddress:
    @pytest.mark.parametrize(
        "place", ["s3://bucket/runs/first", Path("s3://bucket/runs/first"), "gs://bucket", "ftp://a/b"]
    )
    def test_addresses_are_told_from_paths(self, place: str | Path) -> None:
        """Also those that went through a Path, which drops a slash."""
        assert is_remote(place)

    @pytest.mark.parametrize(
        "place", ["runs/first", "/runs/first", "runs:/x", "snapshot:/runs/first/v3", "C:/runs", ""]
    )
    def test_paths(self, place: str) -> None:
        assert not is_remote(place)

    def test_a_name_for_people(self, store: RemoteFolder) -> None:
        assert remote_folder(Path(str(store))) == store
        assert str(store / "league") == f"{store}/league"

    def test_an_unknown_kind_of_store(self) -> None:
        with pytest.raises(StorageError, match=r"ftp://host/run is no address: write s3://BUCKET/KEY"):
            remote_folder("ftp://host/run")

    def test_no_bucket(self, store: RemoteFolder) -> None:
        with pytest.raises(StorageError, match=r"s3://nowhere/run cannot be used: there is no such bucket: create it"):
            remote_folder("s3://nowhere/run").write("file", b"")

    def test_no_server(self, store: RemoteFolder, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
        with pytest.raises(StorageError, match=r"cannot be used: the store does not answer: check the network"):
            remote_folder(str(store)).files()

    def test_an_endpoint_that_is_no_url(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL", "localhost")
        with pytest.raises(StorageError, match=r"AWS_ENDPOINT_URL = localhost is no address: write"):
            remote_folder("s3://bucket/run")


class TestMirror:
    def test_changes_travel_both_ways(self, store: RemoteFolder, tmp_path: Path) -> None:
        one, other = Mirror(store, tmp_path / "one"), Mirror(store, tmp_path / "other")
        (one.folder / "league").mkdir()
        (one.folder / "league" / "v1").write_text("first")
        (one.folder / "progress.csv").write_text("1\n")
        (one.folder / ".lock").write_text("stays")
        assert one.push() == 2
        assert one.push() == 0
        other.pull()
        assert (other.folder / "league" / "v1").read_text() == "first"
        assert not (other.folder / ".lock").exists()
        (other.folder / "progress.csv").write_text("1\n2\n")
        (other.folder / "league" / "v1").unlink()
        assert other.push() == 1
        one.pull()
        assert (one.folder / "progress.csv").read_text() == "1\n2\n"
        assert not (one.folder / "league" / "v1").exists()

    def test_patterns(self, store: RemoteFolder, tmp_path: Path) -> None:
        store.write("league/a/b", b"")
        store.write("progress.csv", b"")
        mirror = Mirror(store, tmp_path)
        mirror.pull("league/*")
        assert (tmp_path / "league" / "a" / "b").exists()
        assert not (tmp_path / "progress.csv").exists()
        mirror.pull("*", "!league/*/b")
        assert (tmp_path / "progress.csv").exists()
        store.write("league/c/b", b"")
        mirror.pull("*", "!league/*/b")
        assert not (tmp_path / "league" / "c").exists()

    def test_pointers_are_written_after_what_they_name(
        self, store: RemoteFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        written: list[str] = []
        write, upload = RemoteFolder.write, RemoteFolder.upload

        def note_write(self: RemoteFolder, name: str, data: bytes) -> object:
            written.append(name)
            return write(self, name, data)

        def note_upload(self: RemoteFolder, name: str, file: Path) -> object:
            written.append(name)
            return upload(self, name, file)

        monkeypatch.setattr(RemoteFolder, "write", note_write)
        monkeypatch.setattr(RemoteFolder, "upload", note_upload)
        for name in ("league/manifest.json", "league/v1.safetensors", "steps/train.json", "zzz"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(name)
        Mirror(store, tmp_path).push()
        assert set(written[:2]) == {"league/v1.safetensors", "zzz"}
        assert set(written[2:]) == {"league/manifest.json", "steps/train.json"}

    def test_a_pointer_never_names_what_is_not_there(
        self, store: RemoteFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Even if a new file and its pointer appear while files are written back; they follow the next time."""
        (tmp_path / "v1").write_text("")
        (tmp_path / "manifest.json").write_text("v1")
        upload = RemoteFolder.upload

        def upload_late(self: RemoteFolder, name: str, file: Path) -> object:
            (tmp_path / "v2").write_text("")
            (tmp_path / "manifest.json").write_text("v1 v2")
            return upload(self, name, file)

        monkeypatch.setattr(RemoteFolder, "upload", upload_late)
        mirror = Mirror(store, tmp_path)
        mirror.push()
        assert (store.read("manifest.json"), store.read("v2")) == (b"v1", None)
        mirror.push()
        assert (store.read("manifest.json"), store.read("v2")) == (b"v1 v2", b"")

    def test_what_a_killed_process_left_is_not_lost(self, store: RemoteFolder, tmp_path: Path) -> None:
        before = Mirror(store, tmp_path)
        (tmp_path / "matches.jsonl").write_text("1\n")
        before.push()
        (tmp_path / "matches.jsonl").write_text("1\n2\n")
        after = Mirror(store, tmp_path)
        after.pull()
        assert (tmp_path / "matches.jsonl").read_text() == "1\n2\n"
        store.write("matches.jsonl", b"1\n3\n4\n")
        after.pull()
        assert (tmp_path / "matches.jsonl").read_text() == "1\n3\n4\n"
        assert (tmp_path / ".matches.jsonl.unsent").read_text() == "1\n2\n"

    def test_folders_are_removed_with_all_that_the_store_has(self, store: RemoteFolder, tmp_path: Path) -> None:
        for name in ("part/checkpoint_1/sealed.json", "part/checkpoint_1/weights", "part/checkpoint_10/sealed.json"):
            store.write(name, b"")
        mirror = Mirror(store, tmp_path)
        mirror.pull("*sealed.json")
        mirror.remove([tmp_path / "part" / "checkpoint_1"])
        assert set(store.files()) == {"part/checkpoint_10/sealed.json"}
        assert not (tmp_path / "part" / "checkpoint_1").exists()

    def test_a_store_that_goes_away_and_comes_back(
        self, store: RemoteFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whoever watches is told once, and everything is written back in the end."""
        said: list[str] = []
        failed_twice, fails = threading.Semaphore(0), threading.Event()
        fails.set()
        upload = RemoteFolder.upload

        def fail(self: RemoteFolder, name: str, file: Path) -> object:
            if fails.is_set():
                failed_twice.release()
                raise StorageError(f"{self} cannot be used: it is away")
            return upload(self, name, file)

        monkeypatch.setattr(RemoteFolder, "upload", fail)
        (tmp_path / "file").write_text("kept")
        with Mirror(store, tmp_path).pushing(seconds=0.01, say=said.append):
            assert all(failed_twice.acquire(timeout=30) for _ in range(2))
            fails.clear()
        assert said == [f"{store} cannot be used: it is away; until then, everything is kept in {tmp_path}"]
        assert store.read("file") == b"kept"


class TestLease:
    def test_one_at_a_time(self, store: RemoteFolder) -> None:
        own = rf"process {os.getpid()} on host .+ is here"
        with leased(store, forbidden):
            with pytest.raises(RunFolderError, match=own), leased(store, refusal):
                pass
            with leased(store, forbidden, name="another"):
                pass
        with leased(store, forbidden):
            pass
        assert store.files() == {}

    def test_of_two_at_once_one_gets_it(self, store: RemoteFolder) -> None:
        """Each sees the other's claim before it decides."""
        got: list[str] = []
        refused: list[str] = []
        ready = threading.Barrier(2)
        tried = threading.Barrier(2)

        def try_it(name: str) -> None:
            ready.wait()
            try:
                with leased(store, refusal):
                    got.append(name)
                    tried.wait(30)
            except RunFolderError:
                refused.append(name)
                tried.wait(30)

        threads = [threading.Thread(target=try_it, args=(name,)) for name in "ab"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(got) == len(refused) == 1

    def test_a_claim_that_was_written_slowly_does_not_count(
        self, store: RemoteFolder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its time in the store may be before that of a claim whose process has decided already."""
        claims: list[str] = []
        write = RemoteFolder.write

        def note(self: RemoteFolder, name: str, data: bytes) -> object:
            if name.endswith(".claim"):
                claims.append(name)
            return write(self, name, data)

        monkeypatch.setattr(RemoteFolder, "write", note)
        monkeypatch.setattr(lease, "_SECONDS_TO_WRITE", 0.0)
        with pytest.raises(StorageError, match=f"{store} answers too slowly to be used safely"), leased(store, refusal):
            pass
        assert len(set(claims)) == 20
        assert store.files() == {}

    def test_the_claim_of_a_process_that_has_ended(self, store: RemoteFolder) -> None:
        """Here it ends with its process; elsewhere, a minute after its last sign of life."""
        code = "import os, socket; print(f'process {os.getpid()} on host {socket.gethostname()}', end='')"
        dead = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout
        store.write(".lease/0.claim", dead)
        with leased(store, forbidden):
            pass
        store.write(".lease/0.claim", b"process 1 on host elsewhere")
        with pytest.raises(RunFolderError, match="process 1 on host elsewhere"), leased(store, refusal):
            pass

    def test_a_claim_that_is_not_renewed(self, store: RemoteFolder, monkeypatch: pytest.MonkeyPatch) -> None:
        store.write(".lease/0.claim", b"process 1 on host elsewhere")
        monkeypatch.setattr(lease, "_SECONDS_TO_LIVE", 0.5)
        with leased(store, forbidden):
            pass

    def test_who_has_lost_it_writes_nothing_more(self, store: RemoteFolder, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(lease, "_SECONDS_PER_RENEWAL", 0.01)
        read, seen = RemoteFolder.read, threading.Event()

        def read_and_tell(self: RemoteFolder, name: str) -> bytes | None:
            found = read(self, name)
            if found is None:
                seen.set()
            return found

        monkeypatch.setattr(RemoteFolder, "read", read_and_tell)
        with checked_out(str(store), "train", forbidden) as mirror:
            (mirror.folder / "file").write_text("")
            mirror.push()
            claims = store / ".train"
            claims.remove([name for name in claims.files() if name.endswith(".claim")])
            assert seen.wait(30)
            (mirror.folder / "file").write_text("again")
            with pytest.raises(StorageError, match=f"another process writes to {store} by now"):
                mirror.push()
        assert store.read("file") == b""


class TestWorkingCopy:
    @pytest.fixture(params=["path", "address"])
    def place(self, request: pytest.FixtureRequest, store: RemoteFolder, tmp_path: Path) -> str:
        return str(store) if request.param == "address" else str(tmp_path / "here")

    def test_writing_and_reading(self, place: str) -> None:
        with writable(place, "rank", refusal=forbidden) as folder:
            folder.mkdir(exist_ok=True)
            (folder / "leaderboard.csv").write_text("rank\n")
        assert (readable(place) / "leaderboard.csv").read_text() == "rank\n"

    def test_readers_do_not_disturb_writers(self, store: RemoteFolder) -> None:
        with writable(str(store), "rank", refusal=forbidden) as folder:
            (folder / "matches.jsonl").write_text("1\n")
            assert not (readable(str(store)) / "matches.jsonl").exists()
            with (
                pytest.raises(RunFolderError, match="is here"),
                writable(str(store), "rank", refusal=refusal),
            ):
                pass
        assert (readable(str(store)) / "matches.jsonl").exists()

    def test_what_cannot_be_written_back_is_kept(self, store: RemoteFolder, monkeypatch: pytest.MonkeyPatch) -> None:
        upload = RemoteFolder.upload

        def fail(self: RemoteFolder, name: str, file: Path) -> object:
            raise StorageError(f"{self} cannot be used: it is away")

        def work() -> None:
            with writable(str(store), "rank", refusal=forbidden) as folder:
                (folder / "matches.jsonl").write_text("1\n")
                monkeypatch.setattr(RemoteFolder, "upload", fail)

        with pytest.raises(StorageError, match=r"it is away; everything is kept in .+/first, and the same command"):
            work()
        with writable(str(store), "rank", refusal=forbidden) as folder:
            assert (folder / "matches.jsonl").read_text() == "1\n"
            monkeypatch.setattr(RemoteFolder, "upload", upload)
        assert store.read("matches.jsonl") == b"1\n"
