"""Finds recorded games to look at again."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from connectfour.errors import RankingError
from connectfour.match_log.log import MatchLog
from connectfour.matches.records import GameRecord
from connectfour.runs.folder import RunFolder
from connectfour.standings.leaderboard import posterior_of

_GAMES_PER_PAIR = 4


def read_games(folder: Path) -> MatchLog:
    """Return the log in ``folder``.

    Raises:
        RankingError: there is no log, or it is empty or damaged.
    """
    file = RunFolder(folder).match_log
    if not file.is_file():
        raise RankingError(f"{file} does not exist: name a folder written by connectfour rank")
    log = MatchLog.read(file)
    if not log.players:
        raise RankingError(f"{file} holds no games: name a folder written by connectfour rank")
    return log


def best_games(log: MatchLog, most: int) -> list[GameRecord]:
    """Return up to ``most`` games that ended by the rules, those between the strongest players first.

    Each pair of players contributes at most its four newest games.
    """
    if not log.games:
        return []
    ranks = {name: rank for rank, name in enumerate(posterior_of(log).order)}
    finished = [game for game in log.games if game.termination in {"win", "draw"}]
    found: list[GameRecord] = []
    games_of_pair: Counter[frozenset[str]] = Counter()
    for game in sorted(finished, key=lambda each: (ranks[each.first] + ranks[each.second], -each.id)):
        pair = frozenset((game.first, game.second))
        games_of_pair[pair] += 1
        if games_of_pair[pair] <= _GAMES_PER_PAIR:
            found.append(game)
    return found[:most]


def find_game(log: MatchLog, game_id: int | None) -> GameRecord:
    """Return the game ``game_id``; by default the newest one between the two strongest players who met.

    Raises:
        RankingError: there is no such game.
    """
    if game_id is None:
        best = best_games(log, 1)
        if not best:
            raise RankingError("no game in the log ended by the rules: rank some more, or name a game with --game")
        return best[0]
    found = next((game for game in log.games if game.id == game_id), None)
    if found is None:
        ids = [game.id for game in log.games]
        known = f"choose a number from {min(ids)} to {max(ids)}" if ids else "rank some players first"
        raise RankingError(f"the log has no game {game_id}: {known}")
    return found
