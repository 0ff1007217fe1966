"""Players by name: ``heuristic:linear``, ``snapshot:RUN/v3``, ``checkpoint:PATH``, ``onnx:FILE``."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from connectfour.errors import PlayerError, SnapshotError
from connectfour.league.manifest import read_members
from connectfour.league.members import Member
from connectfour.league.snapshots import SnapshotStore, decode_snapshot
from connectfour.players.contract import Player
from connectfour.players.encoded import EncodedPlayer
from connectfour.runs.checkpoints import CHECKPOINT_POLICY, read_checkpoint
from connectfour.runs.folder import RunFolder
from heuristics import make_heuristic


def parse_player(spec: str, *, greedy: bool = False) -> Player:
    """Build a player by name.

    Args:
        spec: ``heuristic:NAME``, ``snapshot:RUN/vN`` (or ``/main``, ``/best``), ``checkpoint:PATH`` or ``onnx:FILE``.
        greedy: networks play their most probable column instead of sampling.

    Raises:
        PlayerError: the kind of player, heuristic, checkpoint or model does not exist.
        RunFolderError: the run of a snapshot does not exist.
        SnapshotError: the run has no such snapshot, or its file is damaged.
    """
    return build_player(encode_player(spec), greedy=greedy)


def build_player(encoded: EncodedPlayer, *, greedy: bool = False, fast: bool = False) -> Player:
    """Build a player from its data.

    Args:
        encoded: the player.
        greedy: networks play their most probable column instead of sampling.
        fast: networks compute in bfloat16 if the processor has instructions for it, as in training.

    Raises:
        PlayerError: the data of an ONNX player is not a valid model.
        SnapshotError: the data of a network is not a snapshot, or its weights do not fit its architecture.
    """
    if encoded.kind == "heuristic":
        return make_heuristic(encoded.data.decode())
    if encoded.kind == "onnx":
        from connectfour.players.onnx_model import build_onnx_player  # loads onnxruntime

        return build_onnx_player(encoded, greedy=greedy)
    from connectfour.players.network_player import build_network_player  # loads Torch

    return build_network_player(encoded, greedy=greedy, fast=fast)


def encode_player(spec: str) -> EncodedPlayer:
    """Find a player by name; see ``parse_player`` for ``spec`` and errors."""
    kind, colon, rest = spec.partition(":")
    if not colon or kind not in _KINDS or not rest:
        raise PlayerError(
            f"unknown player {spec!r}: write heuristic:NAME, snapshot:RUN/vN, checkpoint:PATH or onnx:FILE, for example"
            " heuristic:linear"
        )
    return _KINDS[kind](rest)


def encode_heuristic(name: str) -> EncodedPlayer:
    """Find a heuristic by name.

    Raises:
        PlayerError: the heuristic does not exist.
    """
    try:
        return EncodedPlayer(make_heuristic(name).name, "heuristic", name.encode())
    except ValueError as error:
        raise PlayerError(str(error)) from None


def encode_member(run: RunFolder, member: Member, name: str) -> EncodedPlayer:
    """Read the weights of a member of the league in ``run``.

    Args:
        run: the run.
        member: a member with a weights file.
        name: name of the player in tables.

    Raises:
        SnapshotError: the file is missing or damaged.
    """
    data = SnapshotStore(run.league).read(member)
    kind = "snapshot" if member.kind == "guest" else member.kind
    return EncodedPlayer(name, kind, data, member.iteration, member.graded)


def encode_members(run: RunFolder, prefix: str = "") -> list[EncodedPlayer]:
    """Return the heuristics of a run, every frozen policy, and the policy of its newest checkpoint, ``main@ITERATION``.

    Guests are left out: they are members of the run that they come from. Names begin with ``prefix``.

    Raises:
        RunFolderError: the folder holds no run.
        SnapshotError: the manifest or a snapshot is damaged.
    """
    encoded = []
    for member in read_members(run.path).values():
        if member.kind == "heuristic":
            encoded.append(encode_heuristic(member.id))
        elif member.kind != "guest":
            name = f"main@{member.iteration}" if member.kind == "main" else member.id
            encoded.append(encode_member(run, member, prefix + name))
    return encoded


def is_player(spec: str) -> bool:
    """Return whether ``spec`` names a player rather than a run folder."""
    return ":" in spec and not Path(spec).is_dir()


def _encode_snapshot(location: str) -> EncodedPlayer:
    """Find ``RUN/v3``, ``RUN/v0003``, ``RUN/main`` or ``RUN/best``, where RUN is a run folder.

    ``main`` is the policy of the newest checkpoint. ``best`` is the policy with the best grade on the dev half of the
    solved positions; ties go to the newest.
    """
    path, _, name = location.rstrip("/").rpartition("/")
    run = RunFolder(Path(path or "."))
    members = read_members(run.path)
    version = re.fullmatch(r"v(\d+)", name)
    member_id = f"v{int(version[1]):04d}" if version else name
    frozen = [member.id for member in members.values() if member.file]
    own = [member_id for member_id in frozen if members[member_id].kind != "guest"]
    if name == "best" and own:
        member_id = max(own, key=lambda each: (members[each].graded or 0.0, members[each].iteration))
    if member_id not in frozen:
        choice = f"choose one of {', '.join([*frozen, 'best'])}" if frozen else "it has none yet, so train it longer"
        raise SnapshotError(f"{run.path} has no snapshot {name!r}: {choice}")
    return encode_member(run, members[member_id], f"{run.path.resolve().name}/{member_id}")


def _encode_checkpoint(location: str) -> EncodedPlayer:
    """Find the policy of main in an RLlib checkpoint.

    It is called ``RUN/main@ITERATION`` in tables, or ``main@ITERATION`` if the checkpoint is not in a run folder.
    """
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
    runs = (f"{folder.name}/" for folder in path.resolve().parents if RunFolder(folder).manifest.is_file())
    return EncodedPlayer(f"{next(runs, '')}main@{info.iteration}", "main", data, info.iteration)


def _encode_onnx(location: str) -> EncodedPlayer:
    from connectfour.players.onnx_model import encode_onnx  # loads onnxruntime

    return encode_onnx(location)


_KINDS: dict[str, Callable[[str], EncodedPlayer]] = {
    "heuristic": encode_heuristic,
    "snapshot": _encode_snapshot,
    "checkpoint": _encode_checkpoint,
    "onnx": _encode_onnx,
}
