"""Guests: frozen policies from other runs, trained by any algorithm, that serve as opponents in this one."""

from __future__ import annotations

from connectfour.league.snapshots import Snapshot, decode_snapshot
from connectfour.players.names import encode_player
from connectfour.settings.schema import Architecture


def read_guest(spec: str) -> Snapshot:
    """Read the policy that ``spec`` names: ``snapshot:RUN/vN`` or ``checkpoint:PATH``.

    Raises:
        PlayerError, RunFolderError, SnapshotError: there is no such policy, or its file is damaged.
    """
    return decode_snapshot(encode_player(spec).data, spec)


def guest_networks(specs: tuple[str, ...]) -> list[Architecture]:
    """Return the networks of guests; errors are those of ``read_guest``."""
    return [read_guest(spec).network for spec in specs]
