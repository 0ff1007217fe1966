"""Games that were played, to be looked at again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from connectfour.errors import RankingError
from connectfour.matches.records import GameRecord
from connectfour.ranking.leaderboard import posterior_of
from connectfour.ranking.matchlog import Matches, MatchLog

LOG = "matches.jsonl"
_GAMES_OF_A_PAIR = 4


def read_games(run: Path) -> Matches:
    """Return what the log in ``run`` says.

    Raises:
        RankingError: there is no log, it holds no games, or it is damaged.
    """
    log = MatchLog(run / LOG)
    if not log.path.is_file():
        raise RankingError(f"{log.path} does not exist: name a folder that connectfour rank has written")
    matches = log.read()
    if not matches.players:
        raise RankingError(f"{log.path} holds no games: name a folder that connectfour rank has written")
    return matches


def best_games(matches: Matches, most: int) -> list[GameRecord]:
    """Return up to ``most`` games that were played to their end, those between the strongest players first.

    Of two players' games there are at most four, their newest.
    """
    if not matches.games:
        return []
    ranks = {name: rank for rank, name in enumerate(posterior_of(matches).order)}
    played = [game for game in matches.games if game.termination in {"win", "draw"}]
    found: list[GameRecord] = []
    pairs: Counter[frozenset[str]] = Counter()
    for game in sorted(played, key=lambda each: (ranks[each.first] + ranks[each.second], -each.id)):
        pair = frozenset((game.first, game.second))
        pairs[pair] += 1
        if pairs[pair] <= _GAMES_OF_A_PAIR:
            found.append(game)
    return found[:most]


def find_game(matches: Matches, game_id: int | None) -> GameRecord:
    """Return the game ``game_id``, or the newest between the two strongest players who met.

    Raises:
        RankingError: there is none.
    """
    if game_id is None:
        best = best_games(matches, 1)
        if not best:
            raise RankingError("no game of the log was played to its end: rank some more, or name one with --game")
        return best[0]
    found = next((game for game in matches.games if game.id == game_id), None)
    if found is None:
        raise RankingError(f"the log has no game {game_id}: {_numbers([game.id for game in matches.games])}")
    return found


def _numbers(ids: Sequence[int]) -> str:
    return f"its games have the numbers {min(ids)} to {max(ids)}" if ids else "it holds none yet"
