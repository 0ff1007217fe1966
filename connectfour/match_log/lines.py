"""The kinds of lines in ``matches.jsonl``; games are ``connectfour.matches.records.GameRecord``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from connectfour.matches.records import GameRecord
from connectfour.players.encoded import EncodedPlayer

SCHEMA_VERSION = 2

# Earlier releases wrote the rules as ``repr`` of an object.
_OLD_RULES = re.compile(r"ConnectFour\(greedy=(True|False)\)")
_OLD_GAME = "connect_four"


@dataclass(frozen=True)
class PlaySettings:
    """How the games of a log are played; the same for all of them.

    Attributes:
        opening_plies: random plies before each game.
        rules: the name of the ``game``, and what else its games have in common, by name.
    """

    opening_plies: int
    rules: Mapping[str, Any]

    @property
    def game(self) -> str:
        """Name of the game."""
        return str(self.rules["game"])

    @property
    def options(self) -> Mapping[str, Any]:
        """Options of the game."""
        options: Mapping[str, Any] = self.rules.get("options", {})
        return options

    @property
    def has_chance(self) -> bool:
        """Whether chance plays along, so that games with the same moves are not the same games."""
        return bool(self.rules.get("chance", False))

    def to_json(self) -> dict[str, Any]:
        """Return its line of a log."""
        fields = {"schema_version": SCHEMA_VERSION, "opening_plies": self.opening_plies, **self.rules}
        return {"settings": fields}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> PlaySettings:
        """Return the settings in a line of a log.

        Raises:
            KeyError, TypeError, ValueError: the line has another shape.
        """
        fields = dict(row["settings"])
        version, plies = fields.pop("schema_version", 1), fields.pop("opening_plies")
        if version == 1:
            return cls(plies, _read_old_rules(fields["rules"]))
        if version != SCHEMA_VERSION or not isinstance(fields["game"], str):
            raise ValueError(f"settings of schema version {version}")
        return cls(plies, fields)

    def __str__(self) -> str:
        """Return the settings as part of a sentence."""
        named = {**self.rules, "opening_plies": self.opening_plies}
        return ", ".join(f"{name} {value}" for name, value in named.items() if value != {})


def _read_old_rules(text: str) -> dict[str, Any]:
    found = _OLD_RULES.fullmatch(text)
    if found:
        return {"game": _OLD_GAME, "options": {}, "greedy": found[1] == "True"}
    return {"game": text}


@dataclass(frozen=True)
class RankedPlayer:
    """A player who joined the ranking.

    Attributes:
        name: unique in the log.
        kind: ``heuristic``, ``snapshot``, ``main``, ``onnx``.
        iteration: training iteration in which it was frozen.
        sha256: hash of its file.
        graded: share of solved positions (dev half) in which its best action keeps the result.
        weights_sha256: hash of a network's weights, the same in every run that holds a copy.
    """

    name: str
    kind: str
    iteration: int | None = None
    sha256: str | None = None
    graded: float | None = None
    weights_sha256: str | None = None

    def is_same(self, player: EncodedPlayer) -> bool:
        """Return whether ``player`` is this one, perhaps under another name or from another run's copy."""
        same_weights = self.weights_sha256 is not None and self.weights_sha256 == player.weights_sha256
        return same_weights or self.sha256 == player.sha256

    def to_json(self) -> dict[str, Any]:
        """Return its line of a log."""
        return {"player": asdict(self)}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> RankedPlayer:
        """Return the player in a line of a log.

        Raises:
            KeyError, TypeError: the line has another shape.
        """
        return cls(**row["player"])


@dataclass(frozen=True)
class SetAside:
    """A player who plays no further games because too many ended by its faults.

    Attributes:
        name: the player.
        reason: what happened, as part of a sentence.
    """

    name: str
    reason: str

    def to_json(self) -> dict[str, Any]:
        """Return its line of a log."""
        return {"set_aside": self.name, "reason": self.reason}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> SetAside:
        """Return the player set aside in a line of a log.

        Raises:
            KeyError: the line has another shape.
        """
        return cls(row["set_aside"], row["reason"])


EndReason = Literal["matches", "share", "minutes", "sigma", "stalled", "settled", "players", "interrupted"]


@dataclass(frozen=True)
class Ended:
    """A ranking ended, and why; it goes on if a later run has a stricter limit.

    Attributes:
        reason: the limit that was reached (``matches``, ``share``, ``minutes``, ``sigma`` or ``settled``); ``stalled``:
            the limit ``sigma`` is out of reach; ``players``: fewer than two are left to play; ``interrupted``: by
            Ctrl-C.
        limit: the value of that limit, if any.
        seconds: how long games were played until then, since the ranking began.
    """

    reason: EndReason
    limit: float | None = None
    seconds: float = field(default=0.0, compare=False)

    def to_json(self) -> dict[str, Any]:
        """Return its line of a log."""
        return {"ended": self.reason, "limit": self.limit, "seconds": self.seconds}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Ended:
        """Return the end in a line of a log.

        Raises:
            KeyError, TypeError, ValueError: the line has another shape.
        """
        if row["ended"] not in get_args(EndReason):
            raise ValueError(f"no ranking ends by {row['ended']!r}")
        return cls(row["ended"], row["limit"], float(row.get("seconds", 0.0)))


LogLine = PlaySettings | RankedPlayer | GameRecord | SetAside | Ended


def line_from_json(row: Mapping[str, Any]) -> LogLine:
    """Return the line that ``row`` stands for.

    Raises:
        KeyError, TypeError, ValueError: it is not a line of a log.
    """
    if "settings" in row:
        return PlaySettings.from_json(row)
    if "player" in row:
        return RankedPlayer.from_json(row)
    if "set_aside" in row:
        return SetAside.from_json(row)
    if "ended" in row:
        return Ended.from_json(row)
    return GameRecord.from_json(row)
