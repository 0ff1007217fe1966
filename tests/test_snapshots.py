"""Snapshots and manifests on disk."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from connectfour.errors import SnapshotError
from connectfour.league.manifest import Manifest, members_in, write_manifest
from connectfour.league.members import Member
from connectfour.league.pool import OpponentPool
from connectfour.league.snapshots import Snapshot, SnapshotStore, encode_snapshot, weights_sha256
from connectfour.settings.league import LeagueSettings
from connectfour.settings.network import Architecture


class TestSnapshots:
    """Frozen weights on disk."""

    weights: ClassVar = {
        "layer.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
        "layer.bias": np.ones(2, dtype=np.float32),
    }

    def saved(self, folder: Path) -> tuple[SnapshotStore, Member]:
        """Write one snapshot."""
        store = SnapshotStore(folder)
        snapshot = Snapshot(Architecture(width=2), self.weights)
        return store, store.save("v0001", "snapshot", encode_snapshot(snapshot, iteration=2, env_steps=10))

    def test_round_trip(self, tmp_path: Path) -> None:
        """Weights, network and hash come back; nothing temporary is left."""
        store, member = self.saved(tmp_path)
        snapshot = store.load(member)
        assert snapshot.network == Architecture(width=2)
        assert weights_sha256(snapshot.weights) == member.weights_sha256 == weights_sha256(self.weights)
        assert [file.name for file in tmp_path.iterdir()] == [member.file]
        assert member.file == f"v0001-{str(member.sha256)[:12]}.safetensors"

    def test_the_hash_sees_every_bit_and_no_order(self) -> None:
        """Values, shapes, dtypes and names matter; the order of the dictionary does not."""
        reference = weights_sha256(self.weights)
        assert weights_sha256(dict(reversed(list(self.weights.items())))) == reference
        changed = {name: array.copy() for name, array in self.weights.items()}
        changed["layer.bias"][0] = np.nextafter(np.float32(1), np.float32(2))
        reshaped = {**self.weights, "layer.weight": self.weights["layer.weight"].reshape(3, 2)}
        renamed = {f"x{name}": array for name, array in self.weights.items()}
        assert len({reference, *map(weights_sha256, (changed, reshaped, renamed))}) == 4

    def test_one_changed_byte_is_refused_by_name(self, tmp_path: Path) -> None:
        """Wherever the byte is."""
        store, member = self.saved(tmp_path)
        file = tmp_path / str(member.file)
        data = bytearray(file.read_bytes())
        for position in (0, 40, len(data) - 1):
            damaged = data.copy()
            damaged[position] ^= 1
            file.write_bytes(damaged)
            with pytest.raises(SnapshotError, match=r"v0001-\w+\.safetensors is damaged"):
                store.load(member)

    def test_a_missing_file_is_refused_by_name(self, tmp_path: Path) -> None:
        """The manifest names it, so it should be there."""
        store, member = self.saved(tmp_path)
        (tmp_path / str(member.file)).unlink()
        with pytest.raises(SnapshotError, match=r"v0001-\w+\.safetensors is missing"):
            store.load(member)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "{",
            "[]",
            '{"members": []}',
            '{"schema_version": 1}',
            '{"schema_version": 1, "members": 5}',
            '{"schema_version": 99, "members": []}',
        ],
    )
    def test_a_damaged_manifest_is_refused(self, tmp_path: Path, text: str) -> None:
        """Not readable, or of another version."""
        file = tmp_path / "manifest.json"
        file.write_text(text)
        with pytest.raises(SnapshotError, match=r"manifest\.json"):
            members_in(file)

    def test_an_interrupted_write_leaves_the_old_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The file that is there stays whole until the new one is."""
        file = tmp_path / "manifest.json"
        pool = OpponentPool(LeagueSettings())
        write_manifest(file, Manifest(**dict(pool.to_state())))
        before = file.read_bytes()

        def fail(*args: object) -> None:
            raise OSError("disk full")

        monkeypatch.setattr("connectfour.system.files.os.fsync", fail)
        with pytest.raises(OSError, match="disk full"):
            write_manifest(file, Manifest(**dict(pool.to_state()), main=Member(id="main", kind="main")))
        assert file.read_bytes() == before

    def test_a_manifest_of_the_first_version_is_read(self, tmp_path: Path) -> None:
        """Its window of recent results is dropped; members and pay-off stay."""
        file = tmp_path / "manifest.json"
        file.write_text(
            '{"schema_version": 1, "members": [{"id": "random", "kind": "heuristic"}], "active": ["random"], '
            '"freezes": 0, "payoff": [{"first": "main", "second": "random", "win": 3, "draw": 0, "loss": 1}], '
            '"window": [[{"opponent": "random", "main_seat": 0, "result": "win", "games": 3}]], "main": null}'
        )
        assert list(members_in(file)) == ["random"]
        assert not list(tmp_path.glob(".*"))
