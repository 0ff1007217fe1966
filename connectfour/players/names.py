"""Players by name: ``heuristic:linear``, ``snapshot:RUN/v3``, ``checkpoint:PATH``, ``onnx:FILE``."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from connectfour.errors import PlayerError, SnapshotError
from connectfour.league.manifest import Member, read_members
from connectfour.league.snapshots import SnapshotStore, decode_snapshot
from connectfour.players.contract import Player
from connectfour.players.packed import PackedPlayer
from connectfour.run_folder import CHECKPOINT_POLICY, RunFolder, read_checkpoint
from heuristics import make_heuristic


def parse_player(spec: str, *, greedy: bool = False) -> Player:
    """Build the player that ``spec`` names.

    Args:
        spec: ``heuristic:NAME``, ``snapshot:RUN/vN`` (or ``/main``, ``/best``), ``checkpoint:PATH`` or ``onnx:FILE``.
        greedy: a network plays its most probable column instead of sampling.

    Raises:
        PlayerError, RunFolderError, SnapshotError: as ``pack_player``.
    """
    return build_player(pack_player(spec), greedy=greedy)


def build_player(packed: PackedPlayer, *, greedy: bool = False, fast: bool = False) -> Player:
    """Build a player.

    Args:
        packed: the player.
        greedy: a network plays its most probable column instead of sampling.
        fast: a network computes as in training: in bfloat16 where the processor multiplies it.

    Raises:
        PlayerError: the data is not the model of a player.
        SnapshotError: the weights do not fit their network.
    """
    if packed.kind == "heuristic":
        return make_heuristic(packed.data.decode())
    if packed.kind == "onnx":
        from connectfour.players.onnx_model import build_onnx_player  # onnxruntime only where it is needed

        return build_onnx_player(packed, greedy=greedy)
    from connectfour.players.network_player import build_network_player  # Torch only where it is needed

    return build_network_player(packed, greedy=greedy, fast=fast)


def pack_player(spec: str) -> PackedPlayer:
    """Find the player that ``spec`` names.

    Raises:
        PlayerError: there is no such kind of player, heuristic, model or checkpoint.
        RunFolderError: the run of a snapshot does not exist.
        SnapshotError: the run has no such snapshot, or its file is damaged.
    """
    kind, colon, rest = spec.partition(":")
    if not colon or kind not in _KINDS or not rest:
        raise PlayerError(
            f"unknown player {spec!r}: write heuristic:NAME, snapshot:RUN/vN, checkpoint:PATH or onnx:FILE, for example"
            " heuristic:linear"
        )
    return _KINDS[kind](rest)


def pack_heuristic(name: str) -> PackedPlayer:
    """Find a heuristic.

    Raises:
        PlayerError: there is no heuristic of this name.
    """
    try:
        return PackedPlayer(make_heuristic(name).name, "heuristic", name.encode())
    except ValueError as error:
        raise PlayerError(str(error)) from None


def pack_member(run: RunFolder, member: Member, name: str) -> PackedPlayer:
    """Read a snapshot of ``run``; ``name`` is its name in tables.

    Raises:
        SnapshotError: its file is missing or damaged.
    """
    data = SnapshotStore(run.league).read(member)
    return PackedPlayer(name, member.kind, data, member.iteration, member.graded)


def _pack_snapshot(location: str) -> PackedPlayer:
    """Find ``RUN/v3``, ``RUN/v0003``, ``RUN/main`` or ``RUN/best``, where RUN is a run folder.

    ``main`` is the policy of the newest checkpoint. ``best`` is the policy with the best grade on the dev half of the
    solved positions, the newest of equals.
    """
    path, _, name = location.rstrip("/").rpartition("/")
    run = RunFolder(Path(path or "."))
    members = read_members(run.path)
    version = re.fullmatch(r"v(\d+)", name)
    member_id = f"v{int(version[1]):04d}" if version else name
    frozen = [member.id for member in members.values() if member.file]
    if name == "best" and frozen:
        member_id = max(frozen, key=lambda each: (members[each].graded or 0.0, members[each].iteration))
    if member_id not in frozen:
        known = ", ".join([*frozen, "best"]) if frozen else "none yet"
        raise SnapshotError(f"{run.path} has no snapshot {name!r}: choose one of its snapshots ({known})")
    return pack_member(run, members[member_id], f"{run.path.name}/{member_id}")


def _pack_checkpoint(location: str) -> PackedPlayer:
    """Find main's policy in an RLlib checkpoint of a run."""
    path = Path(location)
    info = read_checkpoint(path)
    if info is None:
        raise PlayerError(
            f"{path} is not a complete checkpoint of a run: name a folder such as "
            "runs/NAME/checkpoints/part_1/checkpoint_000000"
        )
    try:
        data = (path / CHECKPOINT_POLICY).read_bytes()
    except FileNotFoundError:
        raise PlayerError(
            f"{path} has no {CHECKPOINT_POLICY} because an older release wrote it: resume its run to write a new one"
        ) from None
    decode_snapshot(data, str(path / CHECKPOINT_POLICY))
    return PackedPlayer(f"main@{info.iteration}", "main", data, info.iteration)


def _pack_onnx(location: str) -> PackedPlayer:
    from connectfour.players.onnx_model import pack_onnx  # onnxruntime only where it is needed

    return pack_onnx(location)


_KINDS: dict[str, Callable[[str], PackedPlayer]] = {
    "heuristic": pack_heuristic,
    "snapshot": _pack_snapshot,
    "checkpoint": _pack_checkpoint,
    "onnx": _pack_onnx,
}
