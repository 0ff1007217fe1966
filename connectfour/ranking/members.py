"""The members of a run in the order of its leaderboard: who is the best, and how strong the others are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from connectfour.players.names import pack_heuristic, pack_player
from connectfour.players.packed import PackedPlayer
from connectfour.ranking.entrants import find_entrants, is_player
from connectfour.ranking.matchlog import MatchLog
from connectfour.ranking.recorded import LOG
from connectfour.ranking.table import LEADERBOARD, Row, read_leaderboard
from connectfour.run_folder import newest_run

_WITHOUT_NETWORK = "minimax:4"


def ratings(folder: Path, players: Iterable[PackedPlayer]) -> dict[str, Row]:
    """Return the rows of the leaderboard in ``folder`` that are about ``players``, by their names.

    Who is who is told by the hashes in the log, since members have other names where several runs were ranked.

    Raises:
        RankingError: leaderboard or log is damaged.
    """
    rows = {row.player: row for row in read_leaderboard(folder)}
    called = {entry.sha256: entry.name for entry in MatchLog(folder / LOG).read().players.values()}
    return {player.name: row for player in players if (row := rows.get(called.get(player.sha256, "")))}


def best_player(spec: str) -> tuple[PackedPlayer, str]:
    """Return the player that ``spec`` names, or of a run the best network, and why it is that one.

    Of a run it is the network that its leaderboard has first, or else the policy that was graded best.

    Raises:
        PlayerError, RunFolderError, SnapshotError, RankingError: ``spec`` names nobody, or a file is damaged.
    """
    if is_player(spec):
        return pack_player(spec), "as named"
    return _best(Path(spec), _networks(spec))


def default_opponent() -> PackedPlayer:
    """Return the best network of the newest run in ``runs/``; a search where there is none."""
    run = newest_run()
    networks = _networks(str(run)) if run else {}
    return _best(run, networks)[0] if run and networks else pack_heuristic(_WITHOUT_NETWORK)


def _networks(run: str) -> dict[str, PackedPlayer]:
    return {name: player for name, player in find_entrants([run]).items() if player.is_network}


def _best(run: Path, networks: Mapping[str, PackedPlayer]) -> tuple[PackedPlayer, str]:
    ranked = ratings(run, networks.values())
    if not ranked:
        return pack_player(f"snapshot:{run}/best"), f"graded best while it trained; no leaderboard in {run} has it"
    name = min(ranked, key=lambda each: ranked[each].rank)
    return networks[name], f"rank {ranked[name].rank} of {run / LEADERBOARD}"
