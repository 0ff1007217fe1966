"""Who is ranked: the members of runs, further players, and the anchors that every leaderboard has."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from connectfour.errors import RankingError
from connectfour.grading.grade import grade, load_positions
from connectfour.league.manifest import read_members
from connectfour.players.names import build_player, pack_heuristic, pack_member, pack_player
from connectfour.players.packed import PackedPlayer
from connectfour.ranking.matchlog import Entry

ANCHORS = ("random", "tactical", "minimax:2", "minimax:4")
"""Players that do not change from run to run."""


def find_entrants(specs: Iterable[str]) -> dict[str, PackedPlayer]:
    """Return the players that ``specs`` name, and the anchors, by unique name.

    A spec is a player, or a run folder, which stands for its heuristics, every frozen policy and the policy of its
    newest checkpoint, ``main@ITERATION``. Where there are several runs, their folders are part of the names.

    Raises:
        PlayerError, RunFolderError, SnapshotError: a spec is none of these, or a file is damaged.
        RankingError: two players have the same name.
    """
    specs = list(specs)
    runs = [spec for spec in specs if not is_player(spec)]
    found = [pack_player(spec) for spec in specs if is_player(spec)]
    for run in map(Path, runs):
        found += _members(run, f"{run.resolve().name}/" if len(runs) > 1 else "")
    found += [pack_heuristic(name) for name in ANCHORS]
    by_name: dict[str, PackedPlayer] = {}
    for player in found:
        if by_name.setdefault(player.name, player).sha256 != player.sha256:
            raise RankingError(f"two players are called {player.name}: rename the folder of one of them")
    return by_name


def is_player(spec: str) -> bool:
    """Tell whether ``spec`` names a player, and not a run folder."""
    return ":" in spec and not Path(spec).is_dir()


def _members(run: Path, prefix: str) -> list[PackedPlayer]:
    packed = []
    for member in read_members(run).values():
        if member.kind == "heuristic":
            packed.append(pack_heuristic(member.id))
        else:
            name = f"main@{member.iteration}" if member.kind == "main" else member.id
            packed.append(pack_member(run, member, prefix + name))
    return packed


def entry(player: PackedPlayer) -> Entry:
    """Return what the log notes of a player; it is graded if its run did not do so."""
    graded = player.graded
    if graded is None:
        share = grade(build_player(player, greedy=True), load_positions("dev")).overall
        graded = share.value_preserving / share.positions
    return Entry(player.name, player.kind, player.iteration, player.sha256, round(graded, 4))
