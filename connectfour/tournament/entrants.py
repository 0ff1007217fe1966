"""Who is ranked: the members of runs, other players, and the anchors of every leaderboard."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from connectfour.errors import RankingError
from connectfour.grading.grade import grade
from connectfour.grading.positions import load_positions
from connectfour.match_log.lines import RankedPlayer
from connectfour.players.encoded import EncodedPlayer
from connectfour.players.names import build_player, encode_heuristic, encode_members, encode_player, is_player
from connectfour.runs.folder import RunFolder

ANCHORS = ("random", "tactical", "minimax:2", "minimax:4")
"""Reference players that take part in every ranking."""


def find_entrants(specs: Iterable[str]) -> dict[str, EncodedPlayer]:
    """Return the players that ``specs`` name, and the anchors, by unique name.

    A spec is a player or a run folder. A run folder stands for its heuristics, every frozen policy and the policy of
    its newest checkpoint, ``main@ITERATION``. If there are several runs, names begin with their folders.

    Raises:
        PlayerError, RunFolderError, SnapshotError: a spec names neither a player nor a run, or a file is damaged.
        RankingError: two different players have the same name.
    """
    specs = list(specs)
    runs = [RunFolder(Path(spec)) for spec in specs if not is_player(spec)]
    found = [encode_player(spec) for spec in specs if is_player(spec)]
    for run in runs:
        found += encode_members(run, f"{run.path.resolve().name}/" if len(runs) > 1 else "")
    found += [encode_heuristic(name) for name in ANCHORS]
    by_name: dict[str, EncodedPlayer] = {}
    for player in found:
        if by_name.setdefault(player.name, player).sha256 != player.sha256:
            raise RankingError(f"two different players have the name {player.name}: rename the folder of one of them")
    return by_name


def register(player: EncodedPlayer) -> RankedPlayer:
    """Return what the log records about a player, grading it if its run has not done so."""
    graded = player.graded
    if graded is None:
        graded = grade(build_player(player, greedy=True), load_positions("dev")).overall.value_preserving_share
    return RankedPlayer(player.name, player.kind, player.iteration, player.sha256, round(graded, 4))
