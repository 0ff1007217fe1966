"""Writes a bundle: everything that the web app shows, from a run, a model, or the heuristics alone.

Torch is needed to export networks and is loaded by other processes only, so that whoever serves the bundle afterwards
stays without it. Models that were exported before are kept.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from rich.console import Console
from rich.progress import track

from connectfour import __version__
from connectfour.app.bundle import GAMES, INDEX, MODELS, BundledPlayer, BundleIndex
from connectfour.errors import ExportError, PlayerError
from connectfour.files import write_atomically
from connectfour.players.names import pack_heuristic
from connectfour.players.onnx_model import check_model, pack_onnx
from connectfour.players.packed import PackedPlayer
from connectfour.ranking.entrants import find_entrants
from connectfour.ranking.matchlog import MatchLog
from connectfour.ranking.members import ratings
from connectfour.ranking.recorded import LOG, best_games
from connectfour.ranking.table import LEADERBOARD, PICTURE, Row

_LADDER = ("random", "always_same", "beat_last", "linear", "tactical", "minimax:2", "minimax:4", "minimax:6")
_MOST_GAMES = 200
_SECONDS_BETWEEN_LINES = 5.0


def write_bundle(
    folder: Path, console: Console, *, run: Path | None = None, model: Path | None = None, top: int | None = None
) -> list[BundledPlayer]:
    """Write a bundle into ``folder``, and return its players, the weakest first.

    Args:
        folder: of the bundle; models that lie there and are still the same are not exported again.
        console: where to tell how far it is.
        run: a run folder, better a ranked one, whose members can be played; without it the heuristics.
        model: an ONNX model that can be played too, and counts as the strongest.
        top: how many of the run's networks to take, the strongest ones; all by default.

    Raises:
        RunFolderError, SnapshotError, RankingError: ``run`` is no run, or something in it is damaged.
        PlayerError: ``model`` is no model of a player, or is called like another player.
        ExportError: a network cannot be exported.
    """
    found = find_entrants([str(run)]) if run else {name: pack_heuristic(name) for name in _LADDER}
    rated = ratings(run, found.values()) if run else {}
    players = _choose(found, rated, top)
    if model:
        added = pack_onnx(str(model))
        if added.name in found:
            raise PlayerError(f"{model} is called like another player, {added.name}: rename the file")
        players.append(added)
    models = folder / MODELS
    models.mkdir(parents=True, exist_ok=True)
    files = {player.name: _file_name(player) for player in players if player.is_network}
    _export_all({models / files[player.name]: player for player in players if player.name in files}, console)
    _copy_ranking(run, folder)
    bundled = [_describe(player, files.get(player.name), rated.get(player.name)) for player in players]
    title = f"The league of {run.resolve().name}" if run else "The heuristics"
    index = BundleIndex(title=title + (f" and {model.stem}" if model else ""), players=tuple(bundled))
    write_atomically(folder / INDEX, (index.model_dump_json(indent=1) + "\n").encode())
    for file in models.iterdir():
        if file.name not in files.values():
            file.unlink()
    return bundled


def _choose(found: Mapping[str, PackedPlayer], rated: Mapping[str, Row], top: int | None) -> list[PackedPlayer]:
    """Return heuristics and the ``top`` networks, the weakest first.

    Who was not ranked yet comes before who was; among themselves they go by rules first and by grades.
    """

    def strength(player: PackedPlayer) -> tuple[bool, bool, float]:
        if player.name in rated:
            return True, True, rated[player.name].mu
        by_rules = _LADDER.index(player.name) if player.name in _LADDER else 0
        return False, player.is_network, (player.graded or 0.0) if player.is_network else by_rules

    ordered = sorted(found.values(), key=strength)
    networks = [player.name for player in ordered if player.is_network]
    kept = networks[-top:] if top else networks
    return [player for player in ordered if not player.is_network or player.name in kept]


def _file_name(player: PackedPlayer) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_.@" else "-" for letter in player.name) + ".onnx"


def _describe(player: PackedPlayer, file: str | None, row: Row | None) -> BundledPlayer:
    kind = "network" if file else "heuristic"
    rating, interval = (row.mu, row.interval) if row else (None, None)
    return BundledPlayer(id=player.name, kind=kind, file=file, rating=rating, interval=interval)


def _copy_ranking(run: Path | None, folder: Path) -> None:
    """Take the leaderboard and the best games of ``run`` over, as far as there are any."""
    for name in (LEADERBOARD, PICTURE):
        _replace(folder / name, (run / name).read_bytes() if run and (run / name).is_file() else None)
    games = best_games(MatchLog(run / LOG).read(), _MOST_GAMES) if run else []
    lines = "".join(json.dumps(game.to_json(), separators=(",", ":")) + "\n" for game in games)
    _replace(folder / GAMES, lines.encode() or None)


def _replace(file: Path, data: bytes | None) -> None:
    """Write ``data``, or remove what lies there."""
    if data is None:
        file.unlink(missing_ok=True)
    else:
        write_atomically(file, data)


def _export_all(players: Mapping[Path, PackedPlayer], console: Console) -> None:
    """Write the models that are not there yet, on all cores."""
    missing = {path: player for path, player in players.items() if not _is_exported(player, path)}
    if not missing:
        return
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    spawn = multiprocessing.get_context("spawn")
    # Ctrl-C reaches all processes of a terminal, and only this one should tell of it.
    quiet = (signal.SIGINT, signal.SIG_IGN)
    with ProcessPoolExecutor(
        min(cores, len(missing)), mp_context=spawn, initializer=signal.signal, initargs=quiet
    ) as pool:
        waiting = [pool.submit(_export, player, path) for path, player in missing.items()]
        try:
            for done in _told(waiting, console):
                done.result()
        except BrokenProcessPool:
            raise ExportError("a process that exported a network was ended: see that there is memory left") from None
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _told(waiting: Sequence[Future[None]], console: Console) -> Iterator[Future[None]]:
    """Yield what is done, and tell how far it is: a bar on a terminal, else a line every few seconds."""
    finished = as_completed(waiting)
    if console.is_terminal:
        yield from track(finished, "Exporting networks", total=len(waiting), console=console)
        return
    start = told = time.monotonic()
    console.print(f"Exporting {len(waiting)} networks ...", highlight=False)
    for count, future in enumerate(finished, start=1):
        yield future
        if time.monotonic() - told > _SECONDS_BETWEEN_LINES:
            told = time.monotonic()
            left = (told - start) / count * (len(waiting) - count)
            console.print(f"Exported {count}/{len(waiting)}, {left:.0f} s left", highlight=False)


def _is_exported(player: PackedPlayer, path: Path) -> bool:
    """Tell whether ``path`` holds the model of ``player``, as this version writes it."""
    try:
        data = path.read_bytes()
        metadata = {entry.key: entry.value for entry in check_model(data, str(path)).metadata_props}
    except (OSError, PlayerError):
        return False
    return data == player.data or (metadata.get("sha256"), metadata.get("version")) == (player.data_sha256, __version__)


def _export(player: PackedPlayer, path: Path) -> None:
    if player.kind == "onnx":
        write_atomically(path, player.data)
        return
    import torch

    from connectfour.export.onnx import export_onnx

    torch.set_num_threads(1)
    export_onnx(player, path)
