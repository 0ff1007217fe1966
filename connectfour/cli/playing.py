"""Commands to play against a policy and to look at games: parsing, wiring, printing."""

from __future__ import annotations

import secrets
import tempfile
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

import typer

from connectfour.cli.games import GameOption, read_game
from connectfour.system.observer import ConsoleObserver, plain_console


def play(
    opponent: Annotated[
        str | None,
        typer.Option(
            help="Player to play against.", show_default="the best network of the newest run in runs/, else minimax:4"
        ),
    ] = None,
    game: GameOption = None,
    first: Annotated[Literal["human", "agent"], typer.Option(help="Who moves first.")] = "human",
    moves: Annotated[str, typer.Option(help="Start after these moves, such as 4435.")] = "",
    temperature: Annotated[
        float, typer.Option(min=0, max=100, help="At 0, a network plays its best action; above 0, it samples.")
    ] = 0.0,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0, help="Random seed of the agent and of the game's chance.", show_default="a new one each time"
        ),
    ] = None,
) -> None:
    """Play in this terminal: 1 to 7 drops a disc in Connect Four; u undo, h hint, n new game, q quit."""
    from connectfour.errors import ConfigError
    from connectfour.games.position import Position
    from connectfour.players.names import build_player, encode_player
    from connectfour.players.policy import PolicyPlayer
    from connectfour.standings.best import default_opponent
    from connectfour.terminal.prompt import TerminalGame

    chosen = read_game(game)
    encoded = encode_player(opponent, chosen) if opponent else default_opponent(chosen)
    rules = encoded.game.rules
    if moves and rules.has_chance:
        raise ConfigError(f"moves do not tell a game of {encoded.game}, because chance plays along: leave out --moves")
    position = Position.parse(moves, rules)
    agent = build_player(encoded)
    if isinstance(agent, PolicyPlayer):
        agent = agent.at(temperature)
    agent_seed = secrets.randbelow(2**32) if seed is None else seed
    TerminalGame(agent, 0 if first == "human" else 1, plain_console(), game=position, seed=agent_seed).run()


def film(
    run: Annotated[Path, typer.Argument(help="Folder written by connectfour rank, such as a run.")],
    output: Annotated[Path, typer.Option(help="File to write: .gif, .mp4 (needs the extra video) or .png.")],
    game: Annotated[
        int | None,
        typer.Option(help="Number of a game in matches.jsonl.", show_default="the newest between the two strongest"),
    ] = None,
) -> None:
    """Draw a recorded game as a GIF or MP4, or its last position with numbered moves as a PNG."""
    from connectfour.standings.recorded import find_game, read_games
    from connectfour.terminal.drawing import check_film_file, write_film
    from connectfour.terminal.films import film_of

    check_film_file(output)
    log = read_games(run)
    record = find_game(log, game)
    names = record.first, record.second
    frames = write_film(film_of(record, log.game, log.settings.options if log.settings else None), output)
    drawn = "1 frame" if frames == 1 else f"{frames} frames"
    ConsoleObserver().say(f"{output}: game {record.id}, {names[0]} against {names[1]}, {record.ending}; {drawn}")


def app(
    run: Annotated[
        Path | None,
        typer.Option(
            help="Run folder whose league to play against.",
            show_default="the newest in runs/, unless --model, --player or --game is given",
        ),
    ] = None,
    model: Annotated[Path | None, typer.Option(help="ONNX model to add as the strongest player.")] = None,
    player: Annotated[
        list[str] | None, typer.Option(help="Player to add, such as heuristic:minimax:6; may be given several times.")
    ] = None,
    game: GameOption = None,
    host: Annotated[str, typer.Option(help="Interface to listen on; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 7860,
) -> None:
    """Play in the browser: the league's members by rating, their policies, the leaderboard and recorded games."""
    from connectfour.app.address import check_free
    from connectfour.errors import ServerError
    from connectfour.export.bundling import plan_bundle, write_bundle
    from connectfour.runs.folder import RunFolder, newest_run

    for library in ("gradio", "starlette"):
        if find_spec(library) is None:
            raise ServerError(f"the web app needs {library}: install it with pip install 'connectfour-league[web]'")
    check_free(host, port)
    league = RunFolder(run) if run else None if model or player or game else newest_run()
    plan = plan_bundle(league.path if league else None, model, game=read_game(game), players=player or ())
    with tempfile.TemporaryDirectory() as temporary, ThreadPoolExecutor(1) as background:
        folder = league.bundle if league else Path(temporary)
        server = background.submit(import_module, "connectfour.app.serve")  # Gradio loads while networks are exported
        with ConsoleObserver() as observer:
            players = write_bundle(folder, plan, observer)
        observer.say(f"{plan.title}: {len(players)} players")
        if not plan.has_network:
            observer.say("Train stronger players with connectfour train")
        announce = "Play at {} (Ctrl-C stops the server)"
        server.result().serve(folder, host, port, lambda address: observer.say(announce.format(address)))
