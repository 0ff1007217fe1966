"""Players by name: ``heuristic:linear``, ``snapshot:RUN/v3``, ``checkpoint:PATH``, ``onnx:FILE``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from connectfour.errors import PlayerError, SnapshotError
from connectfour.games.registry import load_own
from connectfour.league.history import kept_policies, read_policy
from connectfour.league.manifest import game_of, read_members
from connectfour.league.members import MAIN, Member
from connectfour.league.snapshots import SnapshotStore, decode_snapshot, recorded_network
from connectfour.players.contract import Player
from connectfour.players.encoded import EncodedPlayer
from connectfour.runs.checkpoints import CHECKPOINT_POLICY, read_checkpoint
from connectfour.runs.folder import LEAGUE_FILES, RunFolder
from connectfour.settings.game import CONNECT_FOUR, GameSettings
from connectfour.storage.address import address_of, is_remote
from connectfour.storage.working_copy import readable
from connectfour.system.sealed import fault_in
from heuristics import make_heuristic

T = TypeVar("T")


def parse_player(spec: str, *, greedy: bool = False, game: GameSettings | None = None) -> Player:
    """Build a player by name.

    Args:
        spec: ``heuristic:NAME``, ``snapshot:RUN/vN`` (or ``/main``, ``/best``), ``checkpoint:PATH`` or ``onnx:FILE``.
        greedy: networks play their most probable action instead of sampling.
        game: the game that it is to play; by default a network's own, and Connect Four for a heuristic.

    Raises:
        PlayerError: the kind of player, heuristic, checkpoint or model does not exist, or plays another game.
        RunFolderError: the run of a snapshot does not exist.
        SnapshotError: the run has no such snapshot, or its file is damaged.
    """
    return build_player(encode_player(spec, game), greedy=greedy)


def build_player(encoded: EncodedPlayer, *, greedy: bool = False, fast: bool = False) -> Player:
    """Build a player from its data.

    Args:
        encoded: the player.
        greedy: networks play their most probable action instead of sampling.
        fast: networks compute in bfloat16 if the processor has instructions for it, as in training.

    Raises:
        PlayerError: the data of an ONNX player is not a valid model.
        SnapshotError: the data of a network is not a snapshot, or its weights do not fit its architecture.
    """
    if encoded.kind == "heuristic":
        return make_heuristic(encoded.data.decode(), encoded.game.rules)
    if encoded.kind == "onnx":
        from connectfour.players.onnx_model import build_onnx_player  # loads onnxruntime

        return build_onnx_player(encoded, greedy=greedy)
    from connectfour.players.network_player import build_network_player  # loads Torch

    return build_network_player(encoded, greedy=greedy, fast=fast)


def encode_player(spec: str, game: GameSettings | None = None) -> EncodedPlayer:
    """Find a player by name; see ``parse_player`` for arguments and errors."""
    kind, colon, rest = spec.partition(":")
    if not colon or kind not in _KINDS or not rest:
        raise PlayerError(
            f"unknown player {spec!r}: write heuristic:NAME, snapshot:RUN/vN, checkpoint:PATH or onnx:FILE, for example"
            " heuristic:linear"
        )
    if kind == "heuristic":
        return encode_heuristic(rest, game)
    player = _KINDS[kind](rest)
    if game is not None and player.game != game:
        raise PlayerError(f"{spec} plays {player.game}, not {game}: name a player of {game}")
    return player


def encode_players(specs: Iterable[str], game: GameSettings | None = None) -> list[EncodedPlayer]:
    """Find players of one game by their names.

    Args:
        specs: as in ``parse_player``.
        game: their game; by default that of the first network among them, and Connect Four without one.

    Raises:
        PlayerError: two of them play different games, or as in ``parse_player``.
        RunFolderError, SnapshotError: as in ``parse_player``.
    """
    specs = list(specs)
    networks = {spec: encode_player(spec, game) for spec in specs if not spec.startswith("heuristic:")}
    found = game or next((player.game for player in networks.values()), CONNECT_FOUR)
    for spec, player in networks.items():
        if player.game != found:
            raise PlayerError(f"{spec} plays {player.game}, and others play {found}: name players of one game")
    return [networks[spec] if spec in networks else encode_player(spec, found) for spec in specs]


def encode_heuristic(name: str, game: GameSettings | None = None) -> EncodedPlayer:
    """Find a heuristic of ``game`` (default: Connect Four) by name.

    Raises:
        PlayerError: the heuristic does not exist.
    """
    try:
        found = make_heuristic(name, (game or CONNECT_FOUR).rules)
        return EncodedPlayer(found.name, "heuristic", name.encode(), game=game or CONNECT_FOUR)
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
    if str(member.file).endswith(".onnx"):
        return EncodedPlayer(name, "onnx", data, graded=member.graded, game=game_of(run))
    if member.kind == "guest":  # it was frozen in an iteration of another run
        return _encode_network(name, "snapshot", data, graded=member.graded)
    return _encode_network(name, member.kind, data, member.iteration, member.graded)


def _encode_network(
    name: str, kind: str, data: bytes, iteration: int | None = None, graded: float | None = None
) -> EncodedPlayer:
    network = recorded_network(data, name)
    if network.has_own_encoder:
        load_own(network.encoder, "encoder")  # here, so that it is refused early, and sent to other nodes
    return EncodedPlayer(name, kind, data, iteration, graded, network.game)


def encode_members(run: RunFolder, prefix: str = "") -> list[EncodedPlayer]:
    """Return the heuristics of a run, every policy that it froze, and its newest checkpoint's, ``main@ITERATION``.

    Guests and ``lost_members`` are left out. Names begin with ``prefix``. The run may be training.

    Raises:
        RunFolderError: the folder holds no run.
        SnapshotError: the manifest or a snapshot is damaged.
    """

    def encode(members: Mapping[str, Member]) -> list[EncodedPlayer]:
        encoded = []
        for member in members.values():
            if member.kind == "heuristic":
                encoded.append(encode_heuristic(member.id, game_of(run)))
            elif member.kind != "guest" and member.file:
                name = f"main@{member.iteration}" if member.kind == "main" else member.id
                encoded.append(encode_member(run, member, prefix + name))
        return encoded

    return _read_consistently(run, encode)


def encode_kept(run: RunFolder, iteration: int) -> EncodedPlayer:
    """Return main as it was kept after ``iteration``.

    Raises:
        SnapshotError: it was not kept then, or its file is damaged.
    """
    policies = kept_policies(run.history)
    if iteration not in policies:
        known = f"choose one of {', '.join(map(str, policies))}" if policies else "set checkpoint.history in training"
        raise SnapshotError(f"{run} has not kept main of iteration {iteration}: {known}")
    name = f"{run.path.resolve().name}/{MAIN}@{iteration}"
    data = read_policy(policies[iteration])
    decode_snapshot(data, str(policies[iteration]))
    return _encode_network(name, "main", data, iteration)


def encode_guests(run: RunFolder, prefix: str = "") -> list[EncodedPlayer]:
    """Return the guests of a run, whose names begin with ``prefix``; errors are those of ``encode_members``."""

    def encode(members: Mapping[str, Member]) -> list[EncodedPlayer]:
        guests = (member for member in members.values() if member.kind == "guest" and member.file)
        return [encode_member(run, guest, prefix + guest.id) for guest in guests]

    return _read_consistently(run, encode)


def lost_members(run: RunFolder) -> list[str]:
    """Return the ids of members whose files the league has lost."""
    return [member.id for member in read_members(run).values() if member.kind != "heuristic" and not member.file]


def _read_consistently(run: RunFolder, read: Callable[[Mapping[str, Member]], T]) -> T:
    """Return what ``read`` makes of the members of a run that may be training.

    Training removes the files of earlier states of main: a reader that misses one reads the manifest again.
    """
    members = read_members(run)
    while True:
        try:
            return read(members)
        except SnapshotError:
            before, members = members, read_members(run)
            if members == before:
                raise


def read_run(place: str | Path, *files: str) -> RunFolder:
    """Return the run at a path, or a copy of a run in an object store, with its league and ``files`` as they are now.

    Raises:
        StorageError: the store does not answer or refuses.
    """
    folder = readable(place, *LEAGUE_FILES, *files)
    return RunFolder(folder, address_of(place))


def is_player(spec: str) -> bool:
    """Return whether ``spec`` names a player rather than a run folder."""
    return ":" in spec and not is_remote(spec) and not Path(spec).is_dir()


def _encode_snapshot(location: str) -> EncodedPlayer:
    """Find ``RUN/v3``, ``RUN/v0003``, ``RUN/main``, ``RUN/main@40`` or ``RUN/best``, where RUN is a run folder.

    ``main`` is the policy of the newest checkpoint, ``main@40`` the one that was kept after iteration 40. ``best`` is
    the policy with the best grade on the dev half of the solved positions; ties go to the newest.
    """
    path, _, name = location.rstrip("/").rpartition("/")
    run = read_run(path or ".")
    kept = re.fullmatch(rf"{MAIN}@(\d+)", name)
    if kept:
        return encode_kept(run, int(kept[1]))

    def encode(members: Mapping[str, Member]) -> EncodedPlayer:
        version = re.fullmatch(r"v(\d+)", name)
        member_id = f"v{int(version[1]):04d}" if version else name
        frozen = [member.id for member in members.values() if member.file]
        own = [each for each in frozen if members[each].kind != "guest"]
        if name == "best" and own:
            member_id = max(own, key=lambda each: (members[each].graded or 0.0, members[each].iteration))
        if member_id not in frozen:
            known = ", ".join([*frozen, "best"])
            choice = f"choose one of {known}" if frozen else "it has none yet, so train it longer"
            raise SnapshotError(f"{run} has no snapshot {name!r}: {choice}")
        return encode_member(run, members[member_id], f"{run.path.resolve().name}/{member_id}")

    return _read_consistently(run, encode)


def _encode_checkpoint(location: str) -> EncodedPlayer:
    """Find the policy of main in an RLlib checkpoint.

    It is called ``RUN/main@ITERATION`` in tables, or ``main@ITERATION`` if the checkpoint is not in a run folder.
    """
    path = readable(location)
    info = read_checkpoint(path)
    if info is None:
        raise PlayerError(
            f"{path} is not a complete checkpoint of a run: name a folder such as "
            "runs/NAME/checkpoints/part_1/checkpoint_000000"
        )
    fault = fault_in(path)
    if fault:
        raise PlayerError(f"{path} is not a whole checkpoint, {fault}: name another one")
    try:
        data = (path / CHECKPOINT_POLICY).read_bytes()
    except FileNotFoundError:
        raise PlayerError(
            f"{path} has no {CHECKPOINT_POLICY} because an older release wrote it: resume its run to write a new one"
        ) from None
    decode_snapshot(data, str(path / CHECKPOINT_POLICY))
    runs = (f"{folder.name}/" for folder in path.resolve().parents if RunFolder(folder).manifest.is_file())
    return _encode_network(f"{next(runs, '')}main@{info.iteration}", "main", data, info.iteration)


def _encode_onnx(location: str) -> EncodedPlayer:
    from connectfour.players.onnx_model import encode_onnx  # loads onnxruntime

    if is_remote(location):
        folder, _, name = location.rpartition("/")
        location = str(readable(folder, name) / name)
    return encode_onnx(location)


_KINDS: dict[str, Callable[[str], EncodedPlayer]] = {
    "heuristic": encode_heuristic,
    "snapshot": _encode_snapshot,
    "checkpoint": _encode_checkpoint,
    "onnx": _encode_onnx,
}
