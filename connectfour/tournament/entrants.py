"""Who is ranked: the members of runs, other players, and the anchors of every leaderboard."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from connectfour.errors import PlayerError, RankingError
from connectfour.grading.grade import grade
from connectfour.grading.solved import solved_positions
from connectfour.league.manifest import game_of
from connectfour.match_log.lines import RankedPlayer
from connectfour.match_log.log import MatchLog
from connectfour.players.encoded import EncodedPlayer
from connectfour.players.names import (
    build_player,
    encode_guests,
    encode_heuristic,
    encode_members,
    encode_player,
    encode_players,
    is_player,
    read_run,
)
from connectfour.settings.game import CONNECT_FOUR, GameSettings
from connectfour.settings.league import HEURISTIC


def find_entrants(
    specs: Iterable[str], say: Callable[[str], None] = lambda _: None, game: GameSettings | None = None
) -> dict[str, EncodedPlayer]:
    """Return the players that ``specs`` name, and the anchors of their game, by unique name.

    A spec is a player or a run folder. A run folder stands for its heuristics, its guests, every frozen policy and the
    policy of its newest checkpoint, ``main@ITERATION``. If there are several runs, names begin with their folders.

    Networks with the same weights are the same player and take part once: as a member of the run that trained it, else
    under the name that ``specs`` give it, else as a guest. ``say`` gets a sentence for each name that is left out.
    ``game`` is that of the first run or network, unless it is given.

    Raises:
        PlayerError, RunFolderError, SnapshotError: a spec names neither a player nor a run, a file is damaged, or
            players play different games.
        RankingError: two different players have the same name.
    """
    specs = list(specs)
    runs = [read_run(spec) for spec in specs if not is_player(spec)]
    game = game or game_of_specs(specs)
    for run in runs:
        if game_of(run) != game:
            raise PlayerError(f"{run} plays {game_of(run)}, and others play {game}: rank players of one game")
    prefixes = {run: f"{run.path.resolve().name}/" if len(runs) > 1 else "" for run in runs}
    found = [member for run in runs for member in encode_members(run, prefixes[run])]
    found += encode_players([spec for spec in specs if is_player(spec)], game)
    found += [encode_heuristic(name, game) for name in game.rules.anchors]
    found += [guest for run in runs for guest in encode_guests(run, prefixes[run])]
    by_identity: dict[str, EncodedPlayer] = {}
    for player in found:
        same = by_identity.setdefault(player.identity, player)
        if same.name != player.name:
            say(f"{player.name} is {same.name}: they have the same weights.")
    by_name: dict[str, EncodedPlayer] = {}
    for player in by_identity.values():
        if by_name.setdefault(player.name, player) is not player:
            raise RankingError(f"two different players have the name {player.name}: rename the folder of one of them")
    return by_name


def game_of_specs(specs: Iterable[str]) -> GameSettings:
    """Return the game of the first run that ``specs`` name, else that of the first network, else Connect Four.

    Raises:
        PlayerError, RunFolderError, SnapshotError: as ``find_entrants``.
    """
    specs = list(specs)
    run = next((spec for spec in specs if not is_player(spec)), None)
    if run is not None:
        return game_of(read_run(run))
    network = next((spec for spec in specs if not spec.startswith(HEURISTIC)), None)
    return encode_player(network).game if network else CONNECT_FOUR


def named_as_in(log: MatchLog, players: Mapping[str, EncodedPlayer]) -> dict[str, EncodedPlayer]:
    """Return ``players`` by the names under which ``log`` knows them; new players keep theirs.

    Raises:
        RankingError: a new player has the name of another one in ``log``.
    """
    found = {}
    for player in players.values():
        name = log.name_of(player) or player.name
        if log.name_of(player) is None and name in log.players:
            raise RankingError(f"another player in {log.path} has the name {name}: choose another --output")
        found[name] = replace(player, name=name)
    return found


def register(player: EncodedPlayer) -> RankedPlayer:
    """Return what the log records about a player, grading it if its run has not done so and its game is solved."""
    graded, game = player.graded, player.game.rules
    positions = solved_positions(game, "dev") if graded is None else None
    if positions is not None:
        graded = grade(build_player(player, greedy=True), positions).overall.value_preserving_share
    rounded = None if graded is None else round(graded, 4)
    return RankedPlayer(player.name, player.kind, player.iteration, player.sha256, rounded, player.weights_sha256)
