"""The networks of a run by strength: their ratings, and the best of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from connectfour.match_log.log import MatchLog
from connectfour.players.encoded import EncodedPlayer
from connectfour.players.names import encode_heuristic, encode_members, encode_player, is_player
from connectfour.runs.folder import RunFolder, newest_run
from connectfour.standings.table import LeaderboardRow, read_leaderboard

_OPPONENT_WITHOUT_RUN = "minimax:4"


def ratings(folder: Path, players: Iterable[EncodedPlayer]) -> dict[str, LeaderboardRow]:
    """Return the rows of the leaderboard in ``folder`` that belong to ``players``, by their names.

    Players are recognized by their hashes in the log, where they may have other names.

    Raises:
        RankingError: leaderboard or log is damaged.
    """
    rows = {row.player: row for row in read_leaderboard(folder)}
    log = MatchLog.read(RunFolder(folder).match_log)
    return {player.name: row for player in players if (row := rows.get(log.name_of(player) or ""))}


def best_player(spec: str) -> tuple[EncodedPlayer, str]:
    """Return the player that ``spec`` names, and why it was chosen.

    A run folder stands for its best network: the first on its leaderboard, or without one, the best graded.

    Raises:
        PlayerError, RunFolderError, SnapshotError, RankingError: ``spec`` names no player, or a file is damaged.
    """
    if is_player(spec):
        return encode_player(spec), "as named"
    return _best(Path(spec), _networks(Path(spec)))


def default_opponent() -> EncodedPlayer:
    """Return the best network of the newest run in ``runs/``, or a search if there is none."""
    run = newest_run()
    networks = _networks(run.path) if run else {}
    return _best(run.path, networks)[0] if run and networks else encode_heuristic(_OPPONENT_WITHOUT_RUN)


def _networks(run: Path) -> dict[str, EncodedPlayer]:
    return {player.name: player for player in encode_members(RunFolder(run)) if player.is_network}


def _best(run: Path, networks: Mapping[str, EncodedPlayer]) -> tuple[EncodedPlayer, str]:
    ranked = ratings(run, networks.values())
    if not ranked:
        return encode_player(
            f"snapshot:{run}/best"
        ), f"graded best while it trained; {run} has no leaderboard that lists it"
    name = min(ranked, key=lambda each: ranked[each].rank)
    return networks[name], f"rank {ranked[name].rank} of {RunFolder(run).leaderboard}"
