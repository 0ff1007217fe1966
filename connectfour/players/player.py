"""The one contract of all players, and players by name: ``heuristic:linear``, ``snapshot:RUN/v3``, ``onnx:FILE``."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from connectfour.errors import PlayerError, RunFolderError, SnapshotError
from connectfour.games.connect_four.bitboard import Columns
from connectfour.league.pool import Member
from connectfour.league.snapshots import SnapshotStore
from heuristics import State, make_heuristic


class Player(Protocol):
    """Chooses a column on each of N boards; ``heuristics.Heuristic`` is the model of it.

    A player keeps nothing of a game between calls: its memory is ``state``, one row a board. Each call draws exactly
    one uniform number a board from ``rng``, so a batch gives the same columns as its boards one by one.
    """

    @property
    def name(self) -> str:
        """What the player is called in tables."""
        ...

    def initial_state(self, boards: int) -> State:
        """Return the memory at the start of ``boards`` games, (boards, k) int64."""
        ...

    def act(
        self,
        observation: NDArray[np.integer],
        action_mask: NDArray[np.integer],
        state: State,
        rng: np.random.Generator,
    ) -> tuple[Columns, State]:
        """Choose columns (N,) for observations (N, 6, 7, 2) and action masks (N, 7), and return the new state."""
        ...


@dataclass(frozen=True)
class PackedPlayer:
    """A player ready to travel: all it takes to build it in another process, on another machine.

    Attributes:
        name: what it is called in tables.
        kind: ``heuristic``, ``snapshot``, ``main`` or ``onnx``.
        data: its weights' file or model; of a heuristic, its name.
        iteration: of training, when it was frozen.
        graded: the share of solved positions (dev half) that its run's manifest notes.
    """

    name: str
    kind: str
    data: bytes
    iteration: int | None = None
    graded: float | None = None

    @property
    def is_network(self) -> bool:
        """Whether it plays a policy, and not by rules."""
        return self.kind != "heuristic"

    @property
    def sha256(self) -> str:
        """What identifies it, whatever it is called."""
        return hashlib.sha256(self.kind.encode() + b"\0" + self.data).hexdigest()

    @property
    def data_sha256(self) -> str:
        """Of the data alone: of a snapshot what the league's manifest says, too."""
        return hashlib.sha256(self.data).hexdigest()

    def unpack(self, *, greedy: bool = False, fast: bool = False) -> Player:
        """Build the player.

        Args:
            greedy: a network plays its most probable column.
            fast: a network computes as it does in training, in bfloat16 where the processor multiplies it.

        Raises:
            SnapshotError: the weights do not fit their network.
        """
        if self.kind == "heuristic":
            return make_heuristic(self.data.decode())
        if self.kind == "onnx":
            from connectfour.players.onnx import unpack_onnx

            return unpack_onnx(self, greedy=greedy)
        from connectfour.players.snapshot import unpack_snapshot  # Torch only for those who need it

        return unpack_snapshot(self, greedy=greedy, fast=fast)


def parse_player(spec: str, *, greedy: bool = False) -> Player:
    """Build the player that ``spec`` names; ``greedy`` makes a network play its most probable column.

    Raises:
        PlayerError, RunFolderError, SnapshotError: as ``pack_player``.
    """
    return pack_player(spec).unpack(greedy=greedy)


def pack_player(spec: str) -> PackedPlayer:
    """Find the player that ``spec`` names.

    Raises:
        PlayerError: there is no such kind of player, or no such heuristic.
        RunFolderError: the run of a snapshot does not exist.
        SnapshotError: the run has no such snapshot, or its file is damaged.
    """
    kind, colon, rest = spec.partition(":")
    if not colon or kind not in _KINDS or not rest:
        raise PlayerError(
            f"{spec!r} is no player: write heuristic:NAME, snapshot:RUN/vN or onnx:FILE, for example heuristic:linear"
        )
    return _KINDS[kind](rest)


def pack_heuristic(name: str) -> PackedPlayer:
    """Find a heuristic.

    Raises:
        PlayerError: there is none of this name.
    """
    try:
        return PackedPlayer(make_heuristic(name).name, "heuristic", name.encode())
    except ValueError as error:
        raise PlayerError(str(error)) from None


def _pack_snapshot(location: str) -> PackedPlayer:
    """Find ``RUN/v3``, ``RUN/v0003``, ``RUN/main`` or ``RUN/best``, RUN being a run folder.

    ``main`` is the policy of the newest checkpoint; ``best`` is whichever of them all was graded best on the dev half
    of the solved positions, the newest of equals.
    """
    run, _, name = location.rstrip("/").rpartition("/")
    folder = Path(run or ".")
    members = run_members(folder)
    version = re.fullmatch(r"v(\d+)", name)
    member_id = f"v{int(version[1]):04d}" if version else name
    frozen = [member.id for member in members.values() if member.file]
    if name == "best" and frozen:
        member_id = max(frozen, key=lambda each: (members[each].graded or 0.0, members[each].iteration))
    if member_id not in frozen:
        known = ", ".join([*frozen, "best"]) if frozen else "nothing yet"
        raise SnapshotError(f"{folder} has no snapshot {name!r}: it has {known}")
    return pack_member(folder, members[member_id], f"{folder.name}/{member_id}")


def run_members(folder: Path) -> dict[str, Member]:
    """Return the members of the league in the run ``folder``, by id.

    Raises:
        RunFolderError: it is no run folder.
        SnapshotError: the league's manifest is damaged.
    """
    members = SnapshotStore(folder / "league").members()
    if not members:
        raise RunFolderError(
            f"{folder} is no run folder (it has no league/manifest.json): name one, as in runs/NAME/v1"
        )
    return members


def newest_run(folder: Path = Path("runs")) -> Path | None:
    """Return the run in ``folder`` whose league changed last, or None."""
    manifests = folder.glob("*/league/manifest.json")
    return max(
        (file.parent.parent for file in manifests),
        key=lambda run: run.joinpath("league", "manifest.json").stat().st_mtime,
        default=None,
    )


def pack_member(folder: Path, member: Member, name: str) -> PackedPlayer:
    """Read a snapshot of the run ``folder``, to be called ``name``.

    Raises:
        SnapshotError: its file is missing or damaged.
    """
    data = SnapshotStore(folder / "league").read(member)
    return PackedPlayer(name, member.kind, data, member.iteration, member.graded)


def _pack_onnx(location: str) -> PackedPlayer:
    from connectfour.players.onnx import pack_onnx  # onnxruntime only for those who need it

    return pack_onnx(location)


_KINDS: dict[str, Callable[[str], PackedPlayer]] = {
    "heuristic": pack_heuristic,
    "snapshot": _pack_snapshot,
    "onnx": _pack_onnx,
}
