"""Writes a bundle: everything that the web app shows, from a run, a model, or the heuristics alone.

A bundle is first planned, which reads everything and can fail, and then written, which takes long.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from connectfour.app.bundle import GAMES, INDEX, MODELS, BundledPlayer, BundleIndex, empty_board
from connectfour.errors import ExportError, PlayerError
from connectfour.export.model_files import write_model_files
from connectfour.match_log.log import MatchLog
from connectfour.matches.records import GameRecord
from connectfour.players.encoded import EncodedPlayer
from connectfour.players.names import encode_heuristic, encode_players
from connectfour.runs.folder import RunFolder
from connectfour.settings.game import CONNECT_FOUR, GameSettings
from connectfour.standings.best import ratings
from connectfour.standings.recorded import best_games
from connectfour.standings.table import LeaderboardRow
from connectfour.system.files import write_atomically
from connectfour.system.observer import Observer
from connectfour.tournament.entrants import find_entrants

_LADDER = ("random", "always_same", "beat_last", "linear", "tactical", "minimax:2", "minimax:4", "minimax:6")
"""Heuristics of Connect Four from the weakest to the strongest."""

_MOST_GAMES = 200


@dataclass(frozen=True)
class BundlePlan:
    """What a bundle will hold.

    Attributes:
        title: what its players are, in a few words.
        game: the game that they play.
        players: the weakest first.
        rated: rows of the leaderboard by player; players who were not ranked are missing.
        games: recorded games, those between the strongest players first.
        run: where leaderboard and picture are copied from; None without a run.
    """

    title: str
    game: GameSettings
    players: Sequence[EncodedPlayer]
    rated: Mapping[str, LeaderboardRow]
    games: Sequence[GameRecord]
    run: RunFolder | None

    @property
    def has_network(self) -> bool:
        """Whether one of the players is a network."""
        return any(player.is_network for player in self.players)


def plan_bundle(
    run: Path | None = None,
    model: Path | None = None,
    top: int | None = None,
    *,
    game: GameSettings | None = None,
    players: Sequence[str] = (),
) -> BundlePlan:
    """Read what a bundle of ``run``, ``players`` and ``model`` will hold; without a run, the heuristics of the game.

    Args:
        run: a run folder. Its leaderboard, if there is one, orders the players.
        model: an ONNX model to add as the strongest player.
        top: number of the run's networks to keep, the strongest ones; all by default.
        game: the game, unless the run, a player or the model tells it; Connect Four by default.
        players: names of players to add as stronger ones, such as "heuristic:minimax:9".

    Raises:
        RunFolderError, SnapshotError, RankingError: ``run`` is not a run, or its files are damaged.
        GameError: the game cannot be made here.
        PlayerError: ``model`` is not the model of a player, or one to add cannot be resolved, plays another game than
            the others, or has the same name.
        ServerError: the game has no picture.
    """
    of_run = find_entrants([str(run)]) if run else {}
    played = next((player.game for player in of_run.values()), None)
    if game and played and game != played:
        raise PlayerError(f"{run} plays {played}, not {game}: leave out the game, or name another run")
    known = game or played
    specs = [*players, *([f"onnx:{model}"] if model else [])]
    added = encode_players(specs, known)
    game = known or next((player.game for player in added), CONNECT_FOUR)
    empty_board(game)
    found = of_run or _heuristics(game)
    rated = ratings(run, found.values()) if run else {}
    strongest = _strongest(found.values(), rated, top)
    title = f"Run {run.resolve().name}" if run else "Heuristics"
    for spec, player in zip(specs, added, strict=True):
        strongest = [each for each in strongest if run or each.name != player.name or player.is_network]
        if player.name in {each.name for each in strongest}:
            raise PlayerError(f"{spec} has the same name as another player, {player.name}: leave it out or rename it")
        strongest.append(player)
        title += f" and {player.name}"
    folder = RunFolder(run) if run else None
    games = best_games(MatchLog.read(folder.match_log), _MOST_GAMES) if folder else []
    return BundlePlan(title, game, strongest, rated, games, folder)


def check_bundle_folder(folder: Path) -> None:
    """Check that a bundle can be written into ``folder``, which need not exist.

    Raises:
        ExportError: it is a file, its parent does not exist, or it is not writable.
    """
    if folder.exists() and not folder.is_dir():
        raise ExportError(f"{folder} is a file: name a folder")
    if not folder.parent.is_dir():
        raise ExportError(f"{folder.parent} does not exist: create it, or name another folder")
    if not os.access(folder if folder.exists() else folder.parent, os.W_OK):
        raise ExportError(f"{folder} is not writable: change its permissions, or name another folder")


def write_bundle(folder: Path, plan: BundlePlan, observer: Observer | None = None) -> tuple[BundledPlayer, ...]:
    """Write a bundle into ``folder``, and return its players, the weakest first.

    Models that are already there and up to date are kept.

    Raises:
        ExportError: ``folder`` cannot be written, or a network cannot be exported.
    """
    check_bundle_folder(folder)
    models = folder / MODELS
    models.mkdir(parents=True, exist_ok=True)
    files = {player.name: models / _file_name(player) for player in plan.players if player.is_network}
    write_model_files({files[each.name]: each for each in plan.players if each.name in files}, observer or Observer())
    _write_ranking(folder, plan)
    players = tuple(_describe(player, files.get(player.name), plan.rated.get(player.name)) for player in plan.players)
    index = BundleIndex(title=plan.title, game=plan.game, players=players)
    write_atomically(folder / INDEX, (index.model_dump_json(indent=1) + "\n").encode())
    for file in models.iterdir():
        if file not in files.values():
            file.unlink()
    return players


def _heuristics(game: GameSettings) -> dict[str, EncodedPlayer]:
    """Return the heuristics that a page shows without a run, the weakest first."""
    rules = game.rules
    names = _LADDER if game == CONNECT_FOUR else dict.fromkeys((*rules.heuristics, *rules.anchors))
    return {name: encode_heuristic(name, game) for name in names}


def _strongest(
    found: Iterable[EncodedPlayer], rated: Mapping[str, LeaderboardRow], top: int | None
) -> list[EncodedPlayer]:
    """Return all heuristics and the ``top`` networks, the weakest first.

    Players without a rating come first: heuristics in the order of the ladder, then networks by their grades.
    """

    def strength(player: EncodedPlayer) -> tuple[bool, bool, float]:
        if player.name in rated:
            return True, True, -rated[player.name].rank
        if player.is_network:
            return False, True, player.graded or 0.0
        return False, False, _LADDER.index(player.name) if player.name in _LADDER else 0

    ordered = sorted(found, key=strength)
    networks = [player.name for player in ordered if player.is_network]
    kept = networks[-top:] if top else networks
    return [player for player in ordered if not player.is_network or player.name in kept]


def _file_name(player: EncodedPlayer) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_.@" else "-" for letter in player.name) + ".onnx"


def _describe(player: EncodedPlayer, file: Path | None, row: LeaderboardRow | None) -> BundledPlayer:
    kind, file_name = ("network", file.name) if file else ("heuristic", None)
    rating, interval = (row.mu, row.interval) if row else (None, None)
    return BundledPlayer(id=player.name, kind=kind, file=file_name, rating=rating, interval=interval)


def _write_ranking(folder: Path, plan: BundlePlan) -> None:
    """Write leaderboard, picture and recorded games; remove those of an earlier bundle that are gone."""
    bundle = RunFolder(folder)
    _copy_or_remove(plan.run.leaderboard if plan.run else None, bundle.leaderboard)
    _copy_or_remove(plan.run.leaderboard_picture if plan.run else None, bundle.leaderboard_picture)
    lines = "".join(json.dumps(game.to_json(), separators=(",", ":")) + "\n" for game in plan.games)
    if lines:
        write_atomically(folder / GAMES, lines.encode())
    else:
        (folder / GAMES).unlink(missing_ok=True)


def _copy_or_remove(source: Path | None, target: Path) -> None:
    if source and source.is_file():
        write_atomically(target, source.read_bytes())
    else:
        target.unlink(missing_ok=True)
