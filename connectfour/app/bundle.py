"""A bundle: the folder with everything that the web app shows.

    players.json         the players, the weakest first
    models/NAME.onnx     the networks among them
    leaderboard.csv  leaderboard.png  games.jsonl     of a ranked run

``connectfour.export.bundling`` writes it from a run. Reading it needs neither Torch nor Ray and unpickles nothing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from connectfour.errors import NotationError, PlayerError, ServerError
from connectfour.games.picture import Picture
from connectfour.games.position import Position
from connectfour.matches.records import GameRecord
from connectfour.players.encoded import EncodedPlayer
from connectfour.players.names import encode_heuristic
from connectfour.players.onnx_model import encode_onnx
from connectfour.runs.folder import RunFolder
from connectfour.settings.game import CONNECT_FOUR, GameSettings
from connectfour.standings.table import LeaderboardRow, read_leaderboard

INDEX, MODELS, GAMES = "players.json", "models", "games.jsonl"


def empty_board(game: GameSettings) -> Picture:
    """Return the picture of the empty board of ``game``.

    Raises:
        GameError: there is no such game.
        ServerError: the game has no picture, so there is nothing that a page could show.
    """
    picture = game.rules.picture(())
    if picture is None:
        raise ServerError(f"{game} has no picture to show on a page: play in the terminal with connectfour play")
    return picture


class BundledPlayer(BaseModel):
    """A player of a bundle.

    Attributes:
        id: the player's name; unique.
        kind: a heuristic is built from its name, a network from its file.
        file: name of a network's file in ``models``; None for a heuristic.
        rating, interval: skill and half of its 95 % interval, in TrueSkill units; None if the player was not ranked.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    kind: Literal["heuristic", "network"]
    file: str | None = None
    rating: float | None = None
    interval: float | None = None

    @model_validator(mode="after")
    def _only_networks_have_files(self) -> Self:
        if (self.kind == "network") != (self.file is not None):
            raise ValueError(f"{self.id} is a {self.kind}, but its file is {self.file}")
        return self


class BundleIndex(BaseModel):
    """``players.json``; ``game`` is missing in those of earlier releases, which are of Connect Four."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    title: str
    game: GameSettings = CONNECT_FOUR
    players: tuple[BundledPlayer, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _ids_are_unique(self) -> Self:
        if len({player.id for player in self.players}) < len(self.players):
            raise ValueError("two players have the same id")
        return self


@dataclass(frozen=True)
class RecordedGame:
    """A line of the league's log, and the game that it records."""

    record: GameRecord
    game: Position


class Bundle:
    """A bundle whose index has been read.

    Attributes:
        folder: where it is.
        title: what its players are, in a few words.
        game: the game that they play; it has a picture.
        empty: the picture of its empty board.
        players: the players by id, the weakest first.
    """

    def __init__(self, folder: Path) -> None:
        """Read the index of the bundle in ``folder``.

        Raises:
            GameError: its game cannot be made here.
            PlayerError: the folder is not a bundle, or its index is damaged.
            ServerError: its game has no picture.
        """
        self.folder = folder
        try:
            index = BundleIndex.model_validate_json((folder / INDEX).read_bytes())
        except FileNotFoundError:
            raise PlayerError(
                f"{folder} is not a bundle ({INDEX} is missing): write one with connectfour space"
            ) from None
        except ValidationError:
            raise PlayerError(f"{folder / INDEX} is damaged: write the bundle again") from None
        self.title, self.game = index.title, index.game
        self.empty = empty_board(index.game)
        self.players = {player.id: player for player in index.players}

    def pack(self, player_id: str) -> EncodedPlayer:
        """Read the player ``player_id``.

        Raises:
            PlayerError: the bundle has no such player, or its model is missing, damaged or of another game.
        """
        if player_id not in self.players:
            raise PlayerError(f"there is no player {player_id!r} here: choose one from the list")
        file = self.players[player_id].file
        if not file:
            return encode_heuristic(player_id, self.game)
        player = encode_onnx(str(self.folder / MODELS / Path(file).name))
        if player.game != self.game:
            raise PlayerError(f"{file} in {self.folder} plays {player.game}, not {self.game}: write the bundle again")
        return player

    @property
    def leaderboard(self) -> list[LeaderboardRow]:
        """The rows of the leaderboard; empty if the run was not ranked.

        Raises:
            RankingError: the leaderboard is damaged.
        """
        return read_leaderboard(self.folder)

    @property
    def picture(self) -> bytes | None:
        """The leaderboard's picture, a PNG."""
        file = RunFolder(self.folder).leaderboard_picture
        return file.read_bytes() if file.is_file() else None

    @property
    def games(self) -> list[RecordedGame]:
        """Recorded games, those between the strongest players first.

        Raises:
            PlayerError: a line is not a game.
        """
        file = self.folder / GAMES
        if not file.is_file():
            return []
        games = []
        for number, line in enumerate(file.read_bytes().splitlines(), start=1):
            try:
                record = GameRecord.from_json(json.loads(line))
                games.append(RecordedGame(record, Position.parse(record.moves, self.game.rules)))
            except (ValueError, KeyError, TypeError, NotationError):
                raise PlayerError(f"line {number} of {file} is not a game: write the bundle again") from None
        return games
