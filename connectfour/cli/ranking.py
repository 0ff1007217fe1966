"""Commands that tell who is stronger: parsing and wiring only."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from connectfour.cli.console import plain_console
from connectfour.errors import ConfigError
from connectfour.ranking.schedule import Pairing

AddressOption = Annotated[
    str | None, typer.Option(help="Ray cluster to use, as ray.init takes it (auto: the one that runs here).")
]

PlayerArgument = Annotated[str, typer.Argument(help="heuristic:NAME, snapshot:RUN/vN (or /main, /best) or onnx:FILE.")]


def match(
    player: PlayerArgument,
    opponent: Annotated[str, typer.Argument(help="The same.")],
    games: Annotated[int, typer.Option(min=1, help="Number of games, half of them from each seat.")] = 400,
    opening_plies: Annotated[
        int, typer.Option(min=0, max=30, help="Random plies before each game, the same for both seats.")
    ] = 0,
    greedy: Annotated[bool, typer.Option(help="Networks play their most probable column instead of sampling.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of all chance.")] = 0,
) -> None:
    """Play two players against each other and print wins, draws and losses by seat."""
    from connectfour.matches.arena import play_match
    from connectfour.players.names import parse_player

    contestants = parse_player(player, greedy=greedy), parse_player(opponent, greedy=greedy)
    first, second = play_match(*contestants, games, seed=seed, opening_plies=opening_plies)
    table = Table(title=f"{contestants[0].name} against {contestants[1].name}")
    table.add_column("moving")
    for column in ("games", "wins", "draws", "losses", "score"):
        table.add_column(column, justify="right")
    for seat, score in (("first", first), ("second", second), ("both", first + second)):
        table.add_row(
            seat,
            *map(str, (score.games, score.wins, score.draws, score.losses)),
            f"{score.points / score.games:.3f}" if score.games else "-",
        )
    plain_console().print(table)


def grade(
    player: PlayerArgument,
    positions: Annotated[
        str, typer.Option(help="test or dev, the packaged halves, or a CSV file with the columns moves,s1,...,s7.")
    ] = "test",
    sample: Annotated[bool, typer.Option(help="Networks sample their column instead of playing the best.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of all chance.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
) -> None:
    """Grade a player against the solved game: how often its move keeps the result, and the exact score.

    Each position asks for one move without search. Positions in which all columns lead to the same result are left out.
    """
    from connectfour.grading.grade import grade as grade_player
    from connectfour.grading.grade import load_positions
    from connectfour.players.names import parse_player

    graded = parse_player(player, greedy=not sample)
    shares = {
        name: share.to_json() for name, share in grade_player(graded, load_positions(positions), seed).shares().items()
    }
    if as_json:
        typer.echo(json.dumps({"player": graded.name, "positions": positions, "shares": shares}))
        return
    table = Table(title=f"{graded.name} on {positions}")
    for column in ("", "positions", "value-preserving", "optimal"):
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    for name, share in shares.items():
        cells = [
            "{:.3f} [{:.3f}, {:.3f}]".format(share[f"{verdict}_share"], *share[f"{verdict}_interval"])
            for verdict in ("value_preserving", "optimal")
        ]
        table.add_row(name, str(share["positions"]), *cells)
    table.caption = "shares of positions with 95 % intervals"
    plain_console().print(table)


def rank(
    players: Annotated[
        list[str] | None,
        typer.Argument(help="Run folders (every frozen policy and the heuristics) and further players."),
    ] = None,
    matches: Annotated[
        int | None, typer.Option(min=1, help="Play until so many games are in the log; by default 100 a player.")
    ] = None,
    until_sigma: Annotated[
        float | None, typer.Option(help="Play until every skill is known this well, in TrueSkill units.")
    ] = None,
    until_settled: Annotated[
        int | None, typer.Option(min=1, help="Play until the order has not changed over so many games.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder of log and tables; by default that of the first run, else ranking.")
    ] = None,
    pairing: Annotated[Pairing, typer.Option(help="Who meets whom.")] = "thompson",
    sample: Annotated[bool, typer.Option(help="Networks sample their column instead of playing the best.")] = False,
    opening_plies: Annotated[
        int, typer.Option(min=0, max=30, help="Random plies before each game, the same for both seats.")
    ] = 4,
    batch: Annotated[int | None, typer.Option(min=1, help="Games in one piece.", show_default="by the limits")] = None,
    deadline: Annotated[float, typer.Option(min=0.1, help="Seconds that a batch may take.")] = 60.0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of all chance.")] = 0,
    address: AddressOption = None,
    replay: Annotated[bool, typer.Option(help="Play nothing: make all tables again from the log.")] = False,
) -> None:
    """Rank players by games against each other; started again, it goes on where it was.

    Writes matches.jsonl (every game), leaderboard.csv, crosstable.csv and leaderboard.png. random, tactical, minimax:2
    and minimax:4 always take part. Training's own games are not counted.
    """
    from connectfour.matches.arena import ConnectFour
    from connectfour.ranking.session import default_output
    from connectfour.ranking.session import rank as rank_players
    from connectfour.ranking.session import replay as replay_log
    from connectfour.ranking.tournament import Limits, Plan

    folder = output or default_output(players or [])
    if replay:
        replay_log(folder, plain_console())
        return
    if not players:
        raise ConfigError("nobody is to be ranked: name a run folder or players, for example heuristic:linear")
    if until_sigma is not None and until_sigma <= 0:
        raise ConfigError(f"--until-sigma {until_sigma:g} is never reached: name a number above 0, such as 1")
    _use_cluster(address)
    given = (matches, until_sigma, until_settled)
    limits = Limits(*given) if any(limit is not None for limit in given) else None
    plan = Plan(ConnectFour(greedy=not sample), pairing, opening_plies, batch, seed)
    rank_players(players, folder, limits, plan, deadline, plain_console())


def rehearse(
    num_agents: Annotated[int, typer.Option(min=2, help="Agents, with levels from 0 to 100.")] = 10,
    num_matches: Annotated[int, typer.Option(min=1, help="Games of a ranking.")] = 1000,
    error_rate: Annotated[
        float, typer.Option(min=0, max=0.9, help="Games whose machinery fails; they are played again.")
    ] = 0.1,
    invalid_rate: Annotated[
        float,
        typer.Option(min=0, max=1, help="Games that a player loses by an invalid answer, a full column, an error."),
    ] = 0.01,
    hang_rate: Annotated[float, typer.Option(min=0, max=1, help="Games that a player loses by not answering.")] = 0.001,
    crash_rate: Annotated[float, typer.Option(min=0, max=1, help="Games that a player loses by a crash.")] = 0.0,
    lost_rate: Annotated[
        float, typer.Option(min=0, max=0.5, help="Games whose worker is lost; they are played again.")
    ] = 0.0,
    pairing: Annotated[Pairing, typer.Option(help="Who meets whom.")] = "thompson",
    compare: Annotated[bool, typer.Option(help="Rehearse all pairing schemes.")] = False,
    seeds: Annotated[int, typer.Option(min=1, help="Rankings, each with other levels.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="The first of the seeds.")] = 0,
    deadline: Annotated[float, typer.Option(min=0.1, help="Seconds after which an agent counts as hanging.")] = 2.0,
    figure: Annotated[Path | None, typer.Option(help="Draw accuracy against games into this PNG.")] = None,
    address: AddressOption = None,
) -> None:
    """Rank agents whose levels are known, in a noisy game with injected errors, and tell how right the order is."""
    _use_cluster(address)
    from connectfour.ranking.level_game import ErrorRates
    from connectfour.ranking.rehearsal import Rehearsal
    from connectfour.ranking.rehearsal import rehearse as rehearse_ranking
    from connectfour.ranking.schedule import PAIRINGS

    rates = ErrorRates(error_rate, invalid_rate, crash_rate, hang_rate, lost_rate)
    pairings = PAIRINGS if compare else (pairing,)
    rehearsal = Rehearsal(num_agents, num_matches, rates, deadline, pairings, tuple(range(seed, seed + seeds)))
    rehearse_ranking(rehearsal, figure, plain_console())


def _use_cluster(address: str | None) -> None:
    """Name the Ray cluster to use; Ray reads it when it is imported."""
    if address:
        os.environ["RAY_ADDRESS"] = address
