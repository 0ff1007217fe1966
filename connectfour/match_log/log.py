"""The log of a ranking: append-only JSON lines, on disk before anything is concluded from them.

``matches.jsonl`` holds one line per game, one per player who joined or was set aside, one with the settings of all
games, and one each time the ranking ended. Every table can be rebuilt from it alone. A batch of games is written and
flushed at once. A process that is killed while writing leaves at most one torn line, the last, which the next process
removes.
"""

from __future__ import annotations

import json
import os
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from connectfour.errors import RankingError
from connectfour.games.registry import DEFAULT
from connectfour.games.result import Score, SeatScores
from connectfour.match_log.lines import Ended, LogLine, PlaySettings, RankedPlayer, SetAside, line_from_json
from connectfour.matches.records import GameRecord
from connectfour.players.encoded import EncodedPlayer
from connectfour.system.files import locked

_RECENT_GAMES = 20

Seating = tuple[str, str]
"""Two players: who moves first, who moves second."""


class MatchLog:
    """The contents of a log; inside ``writing``, also the open file to append to.

    Attributes:
        path: the file.
        settings: how games are played; None before the first.
        players: by name, in the order of joining.
        games: in the order of the log, each id once.
        set_aside: reasons by player.
        ended: how the ranking ended; None if a player joined or a game was played since.
        seconds: how long games had been played when it ended last; what was killed since is not counted.
        repeated: ids of games that repeat an earlier one move for move, without chance; they do not count.
        scores: scores of the player who moved first, by seating; only games that count.
        seat_scores: the same games by player.
        faults: number of games lost by faults, by player and kind.
        terminations: number of games by how they ended.
    """

    def __init__(self, path: Path, lines: Iterable[LogLine] = ()) -> None:
        """Start from ``lines``; use ``read`` or ``writing`` to load the file at ``path``."""
        self.path = path
        self.settings: PlaySettings | None = None
        self.players: dict[str, RankedPlayer] = {}
        self.games: list[GameRecord] = []
        self.set_aside: dict[str, str] = {}
        self.ended: Ended | None = None
        self.seconds = 0.0
        self.repeated: set[int] = set()
        self.scores: dict[Seating, Score] = {}
        self.seat_scores: dict[str, SeatScores] = {}
        self.faults: dict[str, Counter[str]] = {}
        self.terminations: Counter[str] = Counter()
        self._ids: set[int] = set()
        self._move_lists: set[tuple[str, str, str]] = set()
        self._recent: dict[str, deque[bool]] = {}
        self._stream: BinaryIO | None = None
        for line in lines:
            self._take_in(line)

    @classmethod
    def read(cls, path: Path) -> MatchLog:
        """Return what the log at ``path`` says, without a torn last line; an empty log if there is no file.

        Raises:
            RankingError: a line is damaged.
        """
        log = cls(path)
        log._load()
        return log

    @classmethod
    @contextmanager
    def writing(cls, path: Path) -> Iterator[MatchLog]:
        """Open the log at ``path`` for ``append``, creating it if necessary and keeping other writers out.

        Raises:
            RankingError: another process is writing to the log, or a line is damaged.
        """
        path.parent.mkdir(parents=True, exist_ok=True)

        def refusal(owner: str) -> RankingError:
            return RankingError(f"{owner} is ranking into {path}: wait for it or stop it")

        with locked(path.with_name(f".{path.stem}.lock"), refusal), path.open("ab") as stream:
            stream.truncate(path.read_bytes().rfind(b"\n") + 1)
            log = cls(path)
            log._load()
            log._stream = stream
            try:
                yield log
            finally:
                log._stream = None

    def append(self, lines: Iterable[LogLine]) -> None:
        """Write ``lines``, flush them to disk, and add them to this object.

        Raises:
            ValueError: the log was not opened by ``writing``.
        """
        if self._stream is None:
            raise ValueError(f"{self.path} is open for reading only")
        lines = list(lines)
        text = "".join(json.dumps(line.to_json(), separators=(",", ":")) + "\n" for line in lines)
        self._stream.write(text.encode())
        self._stream.flush()
        os.fsync(self._stream.fileno())
        for line in lines:
            self._take_in(line)

    @property
    def game(self) -> str:
        """Name of the game; Connect Four's before anything is logged."""
        return self.settings.game if self.settings else DEFAULT

    @property
    def next_id(self) -> int:
        """The id of the next game."""
        return max(self._ids, default=0) + 1

    def counts(self, game: GameRecord) -> bool:
        """Return whether ``game``, one of the log, counts for the ratings."""
        return game.result is not None and game.id not in self.repeated

    def score(self, player: str, opponent: str) -> Score:
        """Return the score of ``player`` against ``opponent`` from both seats; only games that count."""
        as_first = self.scores.get((player, opponent), Score())
        as_second = self.scores.get((opponent, player), Score())
        return as_first + as_second.reversed

    def played(self, player: str) -> int:
        """Return how many games of ``player`` count."""
        return self.seat_scores.get(player, SeatScores()).total.games

    def name_of(self, player: EncodedPlayer) -> str | None:
        """Return the name under which a player is in the log, its own if possible; None if it has not joined."""
        names = [each.name for each in self.players.values() if each.is_same(player)]
        return player.name if player.name in names else next(iter(names), None)

    def recent_faults(self, player: str) -> tuple[int, int]:
        """Return how many of a player's latest games it lost by faults, and the number of these games."""
        recent = self._recent.get(player, deque())
        return sum(recent), len(recent)

    def upto(self, games: int) -> MatchLog:
        """Return what the log says after its first ``games`` games, with all its players."""
        return MatchLog(self.path, [*self.players.values(), *self.games[:games]])

    def _load(self) -> None:
        lines = self.path.read_bytes().split(b"\n")[:-1] if self.path.exists() else []
        for number, line in enumerate(lines, start=1):
            try:
                self._take_in(line_from_json(json.loads(line)))
            except (ValueError, KeyError, TypeError):
                raise RankingError(
                    f"line {number} of {self.path} is damaged: remove that line, or move the file away"
                ) from None

    def _take_in(self, line: LogLine) -> None:
        if isinstance(line, PlaySettings):
            self.settings = line
        elif isinstance(line, RankedPlayer):
            self.players[line.name] = line
            self.ended = None
        elif isinstance(line, SetAside):
            self.set_aside[line.name] = line.reason
        elif isinstance(line, Ended):
            self.ended = line
            self.seconds = line.seconds
        else:
            self.ended = None
            self._take_in_game(line)

    def _take_in_game(self, game: GameRecord) -> None:
        if not {game.first, game.second} <= self.players.keys():
            raise ValueError(f"game {game.id} is between players who have not joined")
        if game.id in self._ids:
            return
        self._ids.add(game.id)
        self.games.append(game)
        self.terminations[game.termination] += 1
        if game.result is None:
            return
        # A fault on the first move after the opening leaves the same moves each time without repeating a game.
        if len(game.moves) > len(game.opening) and not (self.settings and self.settings.has_chance):
            move_list = (game.first, game.second, game.moves)
            if move_list in self._move_lists:
                self.repeated.add(game.id)
                return
            self._move_lists.add(move_list)
        self._count(game, Score.of(game.result))

    def _count(self, game: GameRecord, score: Score) -> None:
        """Add a game to the scores; ``score`` is the first player's."""
        seating = game.first, game.second
        self.scores[seating] = self.scores.get(seating, Score()) + score
        for seat, (name, own_score) in enumerate(zip(seating, (score, score.reversed), strict=True)):
            self.seat_scores[name] = self.seat_scores.get(name, SeatScores()) + SeatScores.of(seat, own_score)
            self._recent.setdefault(name, deque(maxlen=_RECENT_GAMES)).append(game.at_fault == name)
        if game.at_fault:
            self.faults.setdefault(game.at_fault, Counter())[game.termination] += 1
