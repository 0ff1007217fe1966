"""Small run folders for tests, made without training and without Ray."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

from connectfour.league.manifest import Manifest, read_members, write_manifest
from connectfour.league.pool import OpponentPool
from connectfour.league.snapshots import Snapshot, SnapshotStore, encode_snapshot
from connectfour.learning.guests import read_snapshot
from connectfour.match_log.lines import PlaySettings
from connectfour.match_log.log import MatchLog
from connectfour.matches.arena import BoardGame
from connectfour.matches.records import GameSpec
from connectfour.networks.network import make_network
from connectfour.runs.folder import RunFolder
from connectfour.settings.game import CONNECT_FOUR, GameSettings
from connectfour.settings.league import LeagueSettings
from connectfour.settings.network import Architecture
from connectfour.tournament.entrants import find_entrants, register
from connectfour.tournament.session import rebuild_tables

QUIET = Console(quiet=True)


def make_run(
    folder: Path,
    encoder: str = "lines",
    heuristics: Sequence[str] = (),
    networks: Sequence[str] = ("v0001", "v0002", "main"),
    guests: Sequence[str] = (),
    first_seed: int = 1,
    game: GameSettings = CONNECT_FOUR,
) -> Path:
    """A run folder with ``networks`` of iterations 1, 2 and 3; the earlier the network, the better its grade.

    ``guests`` are policies of other runs, and ``first_seed`` gives the networks other weights.
    """
    settings = Architecture(encoder=encoder, width=16, game=game)
    defaults = LeagueSettings()
    league = LeagueSettings(
        opponents=(*(f"heuristic:{name}" for name in heuristics or defaults.heuristics), *guests),
        opponent_count=5 if heuristics else defaults.opponent_count,
    )
    pool = OpponentPool(league)
    run = RunFolder(folder)
    run.league.mkdir(parents=True, exist_ok=True)
    store, members = SnapshotStore(run.league), []
    for spec, guest in zip(league.guests, pool.guests, strict=True):
        saved = store.save(guest.id, "guest", encode_snapshot(read_snapshot(spec), iteration=0, env_steps=0))
        pool.members[guest.id] = saved.model_copy(update={"slot": guest.slot})
    for number, name in enumerate(networks, start=1):
        torch.manual_seed(first_seed + number - 1)
        weights = {key: tensor.numpy() for key, tensor in make_network(settings).state_dict().items()}
        kind = "main" if name == "main" else "snapshot"
        snapshot = Snapshot(settings, weights)
        member = store.save(name, kind, encode_snapshot(snapshot, iteration=number, env_steps=1))  # type: ignore[arg-type]  # a literal
        members.append(member.model_copy(update={"graded": round(1 / number, 4)}))
    mains = [member for member in members if member.kind == "main"]
    for member in members:
        if member not in mains:
            pool.admit(member)
    manifest = Manifest(**dict(pool.to_state()), game=game, main=mains[0] if mains else None)
    write_manifest(run.manifest, manifest)
    return folder


def member_file(run: Path, member_id: str) -> Path:
    """Return the file of a member of the league in ``run``."""
    return RunFolder(run).league / str(read_members(RunFolder(run))[member_id].file)


def make_ranked_run(folder: Path) -> Path:
    """The same with a leaderboard: two games of each pair of players, played here."""
    make_run(folder, heuristics=("random", "linear"))
    players = find_entrants([str(folder)])
    rules, rng = BoardGame(), np.random.default_rng(0)
    built = {name: rules.build(player) for name, player in players.items()}
    with MatchLog.writing(RunFolder(folder).match_log) as log:
        log.append([register(player) for player in players.values()])
        for one, other in combinations(players, 2):
            games = [GameSpec(log.next_id, one, other, "12"), GameSpec(log.next_id + 1, other, one, "12")]
            log.append(rules.play((built[one], built[other]), (one, other), games, rng, lambda _: None))
    rebuild_tables(folder)
    return folder


def make_ranked_tictactoe_run(folder: Path, networks: Sequence[str] = ()) -> Path:
    """A ranked run of tic-tac-toe with ``networks``: two games of each pair of players."""
    game = GameSettings(name="tictactoe")
    make_run(folder, "mlp", ("random", "minimax:2"), networks, game=game)
    players = find_entrants([str(folder)])
    rules, rng = BoardGame(game=game), np.random.default_rng(0)
    built = {name: rules.build(player) for name, player in players.items()}
    with MatchLog.writing(RunFolder(folder).match_log) as log:
        log.append([PlaySettings(2, rules.describe()), *(register(player) for player in players.values())])
        for one, other in combinations(players, 2):
            games = [GameSpec(log.next_id, one, other, "5 1"), GameSpec(log.next_id + 1, other, one, "5 1")]
            log.append(rules.play((built[one], built[other]), (one, other), games, rng, lambda _: None))
    rebuild_tables(folder)
    return folder
