"""The networks of a run by strength: their ratings, and the best of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from connectfour.league.manifest import game_of
from connectfour.match_log.log import MatchLog
from connectfour.players.encoded import EncodedPlayer
from connectfour.players.names import encode_heuristic, encode_members, encode_player, is_player, read_run
from connectfour.runs.folder import RANKING_FILES, RunFolder, newest_run
from connectfour.settings.game import CONNECT_FOUR, GameSettings
from connectfour.standings.table import LeaderboardRow, read_leaderboard


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
    run = read_run(spec, *RANKING_FILES)
    return _best(run, _networks(run))


def default_opponent(game: GameSettings | None = None) -> EncodedPlayer:
    """Return the best network of the newest run in ``runs/``, or the strongest heuristic if there is none.

    A run of another game than ``game``, if one is given, is not looked at.
    """
    run = newest_run()
    networks = _networks(run) if run and game in {None, game_of(run)} else {}
    if run and networks:
        return _best(run, networks)[0]
    game = game or CONNECT_FOUR
    return encode_heuristic(game.rules.anchors[-1], game)


def _networks(run: RunFolder) -> dict[str, EncodedPlayer]:
    return {player.name: player for player in encode_members(run) if player.is_network}


def _best(run: RunFolder, networks: Mapping[str, EncodedPlayer]) -> tuple[EncodedPlayer, str]:
    ranked = ratings(run.path, networks.values())
    if not ranked:
        reason = f"graded best while it trained; {run} has no leaderboard that lists it"
        return encode_player(f"snapshot:{run.path}/best"), reason
    name = min(ranked, key=lambda each: ranked[each].rank)
    return networks[name], f"rank {ranked[name].rank} of {run}/{run.leaderboard.name}"
