"""The log of a ranking: append-only JSON lines, on disk before anything is concluded from them.

``matches.jsonl`` holds one line a game (``GameRecord``), a line for each player that joined and each that was set
aside, and one that says how games are played, so that all tables can be made again from it alone. A batch of games is
written and flushed at once. A process that is killed while it writes leaves at most one torn line, at the end, which
the next one removes.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from connectfour.errors import RankingError
from connectfour.matches.records import GameRecord
from connectfour.ranking.trueskill import Tally

_RECENT_GAMES = 20


@dataclass(frozen=True)
class Entry:
    """A player as the log knows it.

    Attributes:
        name: unique in the log.
        kind: ``heuristic``, ``snapshot``, ``main`` ...
        iteration: of training, when it was frozen.
        sha256: what identifies it: another player of the same name is refused.
        graded: share of solved positions (dev half) in which its best column keeps the result.
    """

    name: str
    kind: str
    iteration: int | None = None
    sha256: str | None = None
    graded: float | None = None


@dataclass
class Matches:
    """What a log says.

    Attributes:
        players: by name, in the order of joining.
        games: in the order of the log, each id once.
        set_aside: reasons by player.
        repeated: ids of games that repeat an earlier one move for move; they are not counted.
        faults: games lost by faults, by player and kind.
        terminations: how many games ended how.
        played: games that count, by player.
        settings: how games are played; the same for all of them.
    """

    players: dict[str, Entry] = field(default_factory=dict)
    games: list[GameRecord] = field(default_factory=list)
    set_aside: dict[str, str] = field(default_factory=dict)
    repeated: set[int] = field(default_factory=set)
    _ids: set[int] = field(default_factory=set)
    _seen: set[tuple[str, str, str]] = field(default_factory=set)
    _tallies: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    faults: dict[str, Counter[str]] = field(default_factory=dict)
    terminations: Counter[str] = field(default_factory=Counter)
    played: Counter[str] = field(default_factory=Counter)
    settings: dict[str, Any] = field(default_factory=dict)
    _recent: dict[str, deque[bool]] = field(default_factory=dict)

    def add(self, game: GameRecord) -> None:
        """Take in a game; one whose id is known already, or that repeats another, is not counted."""
        if game.id in self._ids:
            return
        self._ids.add(game.id)
        self.games.append(game)
        self.terminations[game.termination] += 1
        if game.result is None:
            return
        line = (game.first, game.second, game.moves)
        # A game that a fault ended at its first move is like others without repeating them.
        if len(game.moves) > len(game.opening):
            if line in self._seen:
                self.repeated.add(game.id)
                return
            self._seen.add(line)
        self.played.update((game.first, game.second))
        for name in (game.first, game.second):
            self._recent.setdefault(name, deque(maxlen=_RECENT_GAMES)).append(game.at_fault == name)
        if game.at_fault:
            self.faults.setdefault(game.at_fault, Counter())[game.termination] += 1
        self._tallies.setdefault((game.first, game.second), [0, 0, 0])[1 - game.result] += 1

    def recent_faults(self, name: str) -> tuple[int, int]:
        """Return how many of a player's last games ended by its faults, and how many games these are."""
        recent = self._recent.get(name, deque())
        return sum(recent), len(recent)

    @property
    def next_id(self) -> int:
        """The id of the next game."""
        return max(self._ids, default=0) + 1

    def counts(self, game: GameRecord) -> bool:
        """Tell whether ``game`` counts for the ratings."""
        return game.result is not None and game.id not in self.repeated

    @property
    def tallies(self) -> Mapping[tuple[str, str], Tally]:
        """Wins, draws and losses of the first by (first, second), of the games that count."""
        return {pair: Tally(*counts) for pair, counts in self._tallies.items()}

    def upto(self, games: int) -> Matches:
        """Return what the log said after its first ``games`` games."""
        earlier = Matches(dict(self.players))
        for game in self.games[:games]:
            earlier.add(game)
        return earlier


Line = Entry | GameRecord | dict[str, Any] | tuple[str, str]
"""A player who joins, a game, the settings of all games, or a player who is set aside with the reason."""


class MatchLog:
    """The file ``matches.jsonl``."""

    def __init__(self, path: Path) -> None:
        """Name a file; nothing is read or written yet."""
        self.path = path

    def read(self) -> Matches:
        """Return what the log says; a torn last line is left out.

        Raises:
            RankingError: another line is no part of such a log.
        """
        matches = Matches()
        if not self.path.exists():
            return matches
        for number, line in enumerate(self.path.read_bytes().split(b"\n")[:-1], start=1):
            try:
                _take_in(matches, json.loads(line))
            except (ValueError, KeyError, TypeError):
                raise RankingError(
                    f"line {number} of {self.path} is damaged: remove that line, or move the file away"
                ) from None
        return matches

    @contextmanager
    def writing(self) -> Iterator[Matches]:
        """Return what the log says, and keep it open for ``append``; others cannot write meanwhile.

        Raises:
            RankingError: another process writes here, or a line is damaged.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RankingError(f"another process ranks into {self.path}: wait for it or stop it") from None
            data = self.path.read_bytes()
            stream.truncate(data.rfind(b"\n") + 1)
            self._stream = stream
            yield self.read()

    def append(self, lines: Iterable[Line]) -> None:
        """Write lines; they are on disk afterwards."""
        text = "".join(json.dumps(_to_json(line), separators=(",", ":")) + "\n" for line in lines)
        self._stream.write(text.encode())
        self._stream.flush()
        os.fsync(self._stream.fileno())


def _to_json(line: Line) -> dict[str, Any]:
    if isinstance(line, Entry):
        return {"player": vars(line)}
    if isinstance(line, GameRecord):
        return line.to_json()
    if isinstance(line, dict):
        return {"settings": line}
    name, reason = line
    return {"set_aside": name, "reason": reason}


def _take_in(matches: Matches, row: dict[str, Any]) -> None:
    if "player" in row:
        entry = Entry(**row["player"])
        matches.players[entry.name] = entry
    elif "settings" in row:
        matches.settings = dict(row["settings"])
    elif "set_aside" in row:
        matches.set_aside[row["set_aside"]] = row["reason"]
    else:
        game = GameRecord.from_json(row)
        if not {game.first, game.second} <= matches.players.keys():
            raise ValueError(game)
        matches.add(game)
