"""``league/manifest.json``: the members of a run's league with their hashes, and what is known about their strength.

The manifest is written last, after the files that it names. Its first part, ``PoolState``, also travels in every
checkpoint.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from connectfour.errors import RunFolderError, SnapshotError
from connectfour.league.members import Member
from connectfour.runs.folder import RunFolder
from connectfour.settings.game import CONNECT_FOUR, GameSettings
from connectfour.system.files import write_atomically

SCHEMA_VERSION: Literal[6] = 6


class PayoffRow(BaseModel):
    """Training games of one ordered pair: ``win`` counts the games that ``first``, who moved first, won."""

    model_config = ConfigDict(frozen=True)

    first: str
    second: str
    win: int
    draw: int
    loss: int


class PoolState(BaseModel):
    """Everything that an ``OpponentPool`` remembers.

    Attributes:
        members: the archive in the order of joining.
        active: ids of the active pool, the longest-standing first.
        freezes: how often main was frozen on the way to its current state.
        payoff: all training games against the pool.
        recent: main's latest games by opponent, one ``(wins, draws, losses)`` per iteration, the oldest first.
        games_since_freeze: games against the pool since the last freeze.
        evidence: evidence since then that main is above a threshold, by opponent and for the whole ``pool``.
        league: id of the league, which tells its members from those of another league.
    """

    model_config = ConfigDict(frozen=True)

    members: tuple[Member, ...]
    active: tuple[str, ...]
    freezes: int
    payoff: tuple[PayoffRow, ...]
    recent: dict[str, tuple[tuple[int, int, int], ...]] = {}
    games_since_freeze: int = 0
    evidence: dict[str, tuple[float, ...]] = {}
    league: str | None = None


class Manifest(PoolState):
    """The contents of the file: the game, the pool, and main as of the newest checkpoint."""

    schema_version: Literal[1, 2, 3, 4, 5, 6] = SCHEMA_VERSION
    game: GameSettings = CONNECT_FOUR
    main: Member | None = None


def write_manifest(file: Path, manifest: Manifest) -> None:
    """Write a manifest atomically."""
    write_atomically(file, (manifest.model_dump_json(indent=1) + "\n").encode())


def read_manifest(file: Path) -> Manifest | None:
    """Read a manifest; None if there is no file yet.

    Raises:
        SnapshotError: the file is damaged, or a newer release wrote it.
    """
    try:
        data = file.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except IsADirectoryError:
        raise SnapshotError(f"{file} is a folder: restore it from a copy of the run") from None
    try:
        return Manifest.model_validate_json(data)
    except ValidationError as error:
        found: Any = next((fault["input"] for fault in error.errors() if fault["loc"] == ("schema_version",)), None)
        if isinstance(found, int):
            raise SnapshotError(
                f"{file} has schema version {found}, but this release reads up to {SCHEMA_VERSION}: "
                "use the release that wrote it"
            ) from None
        raise SnapshotError(f"{file} is damaged: restore it from a copy of the run") from None


def members_in(file: Path) -> dict[str, Member]:
    """Return the members that a manifest names, by id, main included; nothing if there is no manifest.

    Raises:
        SnapshotError: the manifest is damaged.
    """
    manifest = read_manifest(file)
    if manifest is None:
        return {}
    members = [*manifest.members, *([manifest.main] if manifest.main else [])]
    return {member.id: member for member in members}


def game_of(run: RunFolder) -> GameSettings:
    """Return the game of the league in ``run``; Connect Four if it has none yet.

    Raises:
        SnapshotError: the league's manifest is damaged.
    """
    manifest = read_manifest(run.manifest)
    return manifest.game if manifest else CONNECT_FOUR


def read_members(run: RunFolder) -> dict[str, Member]:
    """Return the members of the league in ``run``, by id, main included.

    Raises:
        RunFolderError: the folder holds no run.
        SnapshotError: the league's manifest is damaged.
    """
    members = members_in(run.manifest)
    if not members:
        raise RunFolderError(
            f"{run} is not a run folder (league/manifest.json is missing): name one, such as runs/first"
        )
    return members
