"""Guests: frozen policies from files, trained by any algorithm, that serve as opponents in this league."""

from __future__ import annotations

from connectfour.errors import ConfigError
from connectfour.league.manifest import read_members
from connectfour.league.snapshots import Snapshot, decode_snapshot
from connectfour.players.names import encode_player
from connectfour.runs.folder import RunFolder
from connectfour.settings.game import GameSettings
from connectfour.settings.league import HEURISTIC, guest_id
from connectfour.settings.network import Architecture
from connectfour.settings.schema import RunSettings


def read_snapshot(spec: str, game: GameSettings | None = None) -> Snapshot:
    """Read the weights of ``snapshot:RUN/vN`` or ``checkpoint:PATH``; errors as in ``encode_player``."""
    return decode_snapshot(encode_player(spec, game).data, spec)


def read_start(spec: str, network: Architecture) -> Snapshot:
    """Read the weights that main starts from.

    Raises:
        ConfigError: they are those of another network.
        PlayerError, RunFolderError, SnapshotError: as in ``encode_player``.
    """
    start = read_snapshot(spec, network.game)
    if start.network != network:
        raise ConfigError(
            f"network.start_from = {spec} is a {start.network.head} network of {start.network}, and this run "
            f"has a {network.head} network of {network}: change the settings of the network or the algorithm"
        )
    return start


def with_own_guests(settings: RunSettings, folder: RunFolder) -> RunSettings:
    """Return ``settings`` with guests named by their copies in the run, which outlive the files that they come from."""
    league, members = settings.league, read_members(folder)
    home = folder.path.absolute()
    own = [f"{HEURISTIC}{name}" for name in league.heuristics]
    for spec in league.guests:
        name = guest_id(spec)
        of_model = spec.startswith("onnx:") and name in members
        own.append(f"onnx:{home}/league/{members[name].file}" if of_model else f"snapshot:{home}/{name}")
    renamed = league.model_copy(update={"opponents": tuple(own)})
    return settings.model_copy(update={"league": renamed})
