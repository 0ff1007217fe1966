"""A bundle: the folder with all that the web app shows.

    players.json         who can be played against, the weakest first
    models/NAME.onnx     the networks among them
    leaderboard.csv  leaderboard.png  games.jsonl     of a ranked run

``connectfour.export.bundle`` writes it from a run. Reading it needs neither Torch nor Ray and unpickles nothing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from connectfour.errors import NotationError, PlayerError
from connectfour.games.connect_four.game import Game
from connectfour.matches.records import GameRecord
from connectfour.players.names import pack_heuristic
from connectfour.players.onnx_model import pack_onnx
from connectfour.players.packed import PackedPlayer
from connectfour.ranking.table import PICTURE, Row, read_leaderboard

INDEX, MODELS, GAMES = "players.json", "models", "games.jsonl"


class BundledPlayer(BaseModel):
    """A player of a bundle.

    Attributes:
        id: what it is called; unique.
        kind: a heuristic is made from its name, a network from its file.
        file: name of a network's file in the folder of models.
        rating, interval: skill and half of its 95 % interval, in TrueSkill units; None of who is not ranked.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    kind: Literal["heuristic", "network"]
    file: str | None = None
    rating: float | None = None
    interval: float | None = None

    @model_validator(mode="after")
    def _has_its_file(self) -> Self:
        if (self.kind == "network") != (self.file is not None):
            raise ValueError(f"{self.id} is a {self.kind}, and its file is {self.file}")
        return self


class BundleIndex(BaseModel):
    """``players.json``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    title: str
    players: tuple[BundledPlayer, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _ids_are_unique(self) -> Self:
        if len({player.id for player in self.players}) < len(self.players):
            raise ValueError("two players have the same id")
        return self


@dataclass(frozen=True)
class RecordedGame:
    """A game of the league, to be looked at again."""

    record: GameRecord
    game: Game


class Bundle:
    """A bundle whose index was read."""

    def __init__(self, folder: Path) -> None:
        """Read the index of the bundle in ``folder``.

        Raises:
            PlayerError: it is none.
        """
        self.folder = folder
        try:
            index = BundleIndex.model_validate_json((folder / INDEX).read_bytes())
        except FileNotFoundError:
            raise PlayerError(f"{folder} is no bundle (it has no {INDEX}): write one with connectfour space") from None
        except ValidationError:
            raise PlayerError(f"{folder / INDEX} is damaged: write the bundle again") from None
        self.title = index.title
        self.players = {player.id: player for player in index.players}

    def pack(self, player_id: str) -> PackedPlayer:
        """Read the player ``player_id``.

        Raises:
            PlayerError: there is none, or its model is missing or damaged.
        """
        if player_id not in self.players:
            raise PlayerError(f"nobody here is called {player_id!r}: choose somebody of the list")
        file = self.players[player_id].file
        return pack_onnx(str(self.folder / MODELS / Path(file).name)) if file else pack_heuristic(player_id)

    @property
    def leaderboard(self) -> list[Row]:
        """The rows of the leaderboard; none if nobody was ranked.

        Raises:
            RankingError: it is damaged.
        """
        return read_leaderboard(self.folder)

    @property
    def picture(self) -> bytes | None:
        """The leaderboard's picture, a PNG."""
        file = self.folder / PICTURE
        return file.read_bytes() if file.is_file() else None

    @property
    def games(self) -> list[RecordedGame]:
        """Recorded games, those between the strongest first.

        Raises:
            PlayerError: a line is no game.
        """
        file = self.folder / GAMES
        if not file.is_file():
            return []
        found = []
        for number, line in enumerate(file.read_bytes().splitlines(), start=1):
            try:
                record = GameRecord.from_json(json.loads(line))
                found.append(RecordedGame(record, Game.parse(record.moves)))
            except (ValueError, KeyError, TypeError, NotationError):
                raise PlayerError(f"line {number} of {file} is no game: write the bundle again") from None
        return found
