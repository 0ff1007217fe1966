"""Commands that compare players: parsing and wiring only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from connectfour.cli import ranking_output
from connectfour.cli.games import GameOption, read_game
from connectfour.cli.training import DashboardOption
from connectfour.errors import ConfigError, PictureError
from connectfour.standings.leaderboard import Order
from connectfour.system.observer import ConsoleObserver, plain_console
from connectfour.system.outputs import check_output
from connectfour.system.tables import write_csv
from connectfour.tournament.pairing import PAIRINGS, Pairing

AddressOption = Annotated[
    str | None, typer.Option(help="Ray cluster to use, as for ray.init (auto: the one running on this machine).")
]
PlayerArgument = Annotated[
    str, typer.Argument(help="heuristic:NAME, snapshot:RUN/vN (or /main, /best), checkpoint:PATH or onnx:FILE.")
]
OpeningPliesOption = Annotated[
    int, typer.Option(min=0, max=30, help="Random plies before each game; two games with swapped seats share them.")
]
SeedOption = Annotated[int, typer.Option(min=0, help="Random seed.")]
SampleOption = Annotated[bool, typer.Option(help="Networks sample their actions instead of playing the best.")]
CsvOption = Annotated[Path | None, typer.Option("--output", help="Also write the result into this CSV file.")]
PairingOption = Annotated[Pairing, typer.Option(help="Scheme that decides who plays whom.")]

_FILMS = 2


def match(
    player: PlayerArgument,
    opponent: Annotated[str, typer.Argument(help="The other player.")],
    games: Annotated[int, typer.Option(min=1, help="Number of games, half of them from each seat.")] = 400,
    game: GameOption = None,
    opening_plies: OpeningPliesOption = 0,
    greedy: Annotated[bool, typer.Option(help="Networks play their most probable action instead of sampling.")] = False,
    seed: SeedOption = 0,
    output: CsvOption = None,
    films: Annotated[
        Path | None,
        typer.Option(help="Also draw the first games as GIFs in this folder; films of an earlier call are replaced."),
    ] = None,
    film_count: Annotated[
        int | None, typer.Option(min=1, help="Games to draw.", show_default="2, one from each seat")
    ] = None,
) -> None:
    """Play two players against each other and print wins, draws and losses by seat.

    The interval of the score takes the games as independent. Two deterministic players repeat themselves: give them
    openings with --opening-plies.
    """
    from connectfour.matches.arena import play_recorded_match
    from connectfour.players.names import build_player, encode_players
    from connectfour.terminal.films import check_films_folder, write_films

    if output:
        check_output(output, ".csv")
    if films:
        check_films_folder(films)
    elif film_count:
        raise ConfigError("--film-count has no effect without --films: name a folder for the films, or leave it out")
    encoded = encode_players([player, opponent], read_game(game))
    settings = encoded[0].game
    if films and settings.rules.picture(()) is None:
        raise PictureError(f"{settings} draws no pictures: leave out --films")
    one, other = (build_player(each, greedy=greedy) for each in encoded)
    played = play_recorded_match(one, other, games, seed=seed, opening_plies=opening_plies, game=settings.rules)
    if output:
        write_csv(output, ranking_output.match_rows(str(settings), one.name, other.name, played.scores))
    plain_console().print(ranking_output.match_table(one.name, other.name, played.scores))
    if films:
        drawn = [played.record(row) for row in range(min(games, film_count or _FILMS))]
        for file, record in zip(write_films(films, drawn, settings.name, settings.options), drawn, strict=True):
            ConsoleObserver().say(f"{file}: {record.ending}")


def grade(
    player: PlayerArgument,
    positions: Annotated[
        str,
        typer.Option(
            help="test or dev, the halves of the solved positions, or a CSV file of moves and a score per action."
        ),
    ] = "test",
    game: GameOption = None,
    sample: SampleOption = False,
    seed: SeedOption = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
    output: CsvOption = None,
) -> None:
    """Grade a player against the solved game: how often its move keeps the result, and the exact score.

    The player moves once in each position, without search. Positions in which every action leads to the same result
    are left out.
    """
    from connectfour.grading.grade import grade as grade_player
    from connectfour.grading.solved import graded_positions
    from connectfour.players.names import build_player, encode_player

    if output:
        check_output(output, ".csv")
    encoded = encode_player(player, read_game(game))
    graded = build_player(encoded, greedy=not sample)
    grades = grade_player(graded, graded_positions(encoded.game.rules, positions), seed).by_part()
    if output:
        write_csv(output, ranking_output.grade_rows(str(encoded.game), graded.name, positions, grades))
    if as_json:
        shares = {part: each.to_json() for part, each in grades.items()}
        typer.echo(json.dumps({"player": graded.name, "positions": positions, "shares": shares}))
    else:
        plain_console().print(ranking_output.grade_table(f"{graded.name} on {positions}", grades))


def rank(
    players: Annotated[
        list[str] | None,
        typer.Argument(
            help="Run folders, each standing for its frozen policies, guests and heuristics, and other players."
        ),
    ] = None,
    matches: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Stop at this number of games in the log; by default 100 per player, if there is no other limit or "
            "with --share.",
        ),
    ] = None,
    share: Annotated[
        float | None,
        typer.Option(help="Stop at this share of --matches, such as 0.95; games still under way do not count."),
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(help="Stop after so many minutes of play, over all runs; games still under way do not count."),
    ] = None,
    until_sigma: Annotated[
        float | None, typer.Option(help="Stop when no skill's standard deviation is above this, in TrueSkill units.")
    ] = None,
    until_settled: Annotated[
        int | None, typer.Option(min=1, help="Stop when the order has not changed for this many games.")
    ] = None,
    order: Annotated[
        Order,
        typer.Option(
            help="Sort the leaderboard by the joint posterior of all games, or by TrueSkill's sequential ratings."
        ),
    ] = "posterior",
    output: Annotated[
        Path | None, typer.Option(help="Folder for log and tables; by default the first run folder, else ranking.")
    ] = None,
    pairing: PairingOption = "thompson",
    sample: SampleOption = False,
    game: GameOption = None,
    opening_plies: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Random plies before each game; two games with swapped seats share them.",
            show_default="that of the game, 4 in Connect Four",
        ),
    ] = None,
    batch: Annotated[
        int | None, typer.Option(min=1, help="Games per batch.", show_default="depends on the limits")
    ] = None,
    deadline: Annotated[
        float, typer.Option(min=0.1, help="Seconds that each player may use in a batch; only its own code counts.")
    ] = 60.0,
    seed: SeedOption = 0,
    resources: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE",
            help="What each batch of games asks Ray for: num_cpus=1, memory_gb=2, tags.large=1; may be repeated.",
        ),
    ] = None,
    address: AddressOption = None,
    dashboard: DashboardOption = False,
    rebuild: Annotated[bool, typer.Option(help="Play no games: rebuild all tables from the log.")] = False,
) -> None:
    """Rank players by games against each other; run the same command again to resume.

    Writes matches.jsonl (every game), leaderboard.csv, crosstable.csv and leaderboard.png. In Connect Four, random,
    tactical, minimax:2 and minimax:4 always take part. Games played in training do not count.
    """
    from connectfour.settings.reading import read_demand
    from connectfour.tournament import session
    from connectfour.tournament.plan import Limits

    if rebuild:
        ranking_output.print_ranking(session.rebuild_tables(output or session.default_output(players or []), order))
        return
    ranking = session.rank(
        players or [],
        output,
        Limits(matches, until_sigma, until_settled, minutes, share),
        session.plan_for(
            players or [],
            read_game(game),
            greedy=not sample,
            pairing=pairing,
            opening_plies=opening_plies,
            batch_games=batch,
            seed=seed,
        ),
        order=order,
        deadline=deadline,
        resources=read_demand(resources or [], "--resources"),
        address=address,
        dashboard=dashboard,
        observer=ConsoleObserver(),
    )
    ranking_output.print_ranking(ranking)


def rehearse(
    num_agents: Annotated[int, typer.Option(min=2, help="Number of agents, with levels from 0 to 100.")] = 10,
    num_matches: Annotated[int, typer.Option(min=1, help="Games per ranking.")] = 1000,
    error_rate: Annotated[
        float, typer.Option(min=0, max=0.9, help="Share of games that fail by no player's fault; they are retried.")
    ] = 0.1,
    invalid_rate: Annotated[
        float,
        typer.Option(min=0, max=1, help="Share of games lost to an invalid answer, an illegal action or an exception."),
    ] = 0.01,
    hang_rate: Annotated[float, typer.Option(min=0, max=1, help="Share of games lost because a player hangs.")] = 0.001,
    crash_rate: Annotated[float, typer.Option(min=0, max=1, help="Share of games lost to a crash.")] = 0.0,
    lost_rate: Annotated[
        float, typer.Option(min=0, max=0.5, help="Share of games whose worker is lost; they are retried.")
    ] = 0.0,
    slow_rate: Annotated[
        float,
        typer.Option(min=0, max=1, help="Share of games in which both players use most of their time; nobody loses."),
    ] = 0.0,
    pairing: PairingOption = "thompson",
    compare: Annotated[bool, typer.Option(help="Rehearse all pairing schemes.")] = False,
    seeds: Annotated[int, typer.Option(min=1, help="Number of rankings per scheme, each with its own levels.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="The first seed.")] = 0,
    deadline: Annotated[float, typer.Option(min=0.1, help="Seconds that each agent may use in a game.")] = 2.0,
    figure: Annotated[Path | None, typer.Option(help="Plot accuracy by number of games into this PNG file.")] = None,
    address: AddressOption = None,
) -> None:
    """Rank agents with known levels in a noisy game with injected errors, and report how accurate the order is."""
    from connectfour.rehearsal.level_game import ErrorRates
    from connectfour.rehearsal.rehearsal import Rehearsal
    from connectfour.rehearsal.rehearsal import rehearse as rehearse_rankings

    rates = ErrorRates(
        error=error_rate, invalid=invalid_rate, crash=crash_rate, hang=hang_rate, lost=lost_rate, slow=slow_rate
    )
    pairings = PAIRINGS if compare else (pairing,)
    rehearsal = Rehearsal(num_agents, num_matches, rates, deadline, pairings, tuple(range(seed, seed + seeds)))
    result = rehearse_rankings(rehearsal, figure, address=address, observer=ConsoleObserver())
    ranking_output.print_rehearsal(rehearsal, result, figure)
