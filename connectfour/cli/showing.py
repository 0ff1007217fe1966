"""Commands that take policies out into the world: parsing and wiring only."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Annotated, Literal

import typer

from connectfour.cli.console import plain_console


def _say(text: str) -> None:
    plain_console().print(text, soft_wrap=True, highlight=False)


def play(
    opponent: Annotated[
        str | None,
        typer.Option(help="The agent: any player. By default the best of the newest run in runs/, else minimax:4."),
    ] = None,
    first: Annotated[Literal["human", "agent"], typer.Option(help="Who moves first.")] = "human",
    moves: Annotated[str, typer.Option(help="Begin after these moves, such as 4435.")] = "",
    temperature: Annotated[
        float, typer.Option(min=0, max=100, help="0: a network plays its best column; above, it samples.")
    ] = 0.0,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Seed of the agent's chance; by default another one each time.")
    ] = None,
) -> None:
    """Play against an agent in this terminal: columns 1 to 7, u undo, h hint, n new game, q quit."""
    from connectfour.games.connect_four.game import Game
    from connectfour.players.names import build_player, pack_player
    from connectfour.players.policy import PolicyPlayer
    from connectfour.ranking.members import default_opponent
    from connectfour.terminal.prompt import TerminalGame

    game = Game.parse(moves)
    agent = build_player(pack_player(opponent) if opponent else default_opponent())
    if isinstance(agent, PolicyPlayer):
        agent = agent.at(temperature)
    chance = secrets.randbelow(2**32) if seed is None else seed
    TerminalGame(agent, 0 if first == "human" else 1, plain_console(), game=game, seed=chance).run()


def replay(
    run: Annotated[Path, typer.Argument(help="A folder that connectfour rank has written, such as a run.")],
    output: Annotated[Path, typer.Option(help="The file to write: .gif, .mp4 or .png.")],
    game: Annotated[
        int | None,
        typer.Option(help="Number of a game in matches.jsonl.", show_default="the newest of the two strongest"),
    ] = None,
) -> None:
    """Draw a recorded game as a GIF or MP4, or its last position with numbered discs as a PNG."""
    from connectfour.games.connect_four.game import Game
    from connectfour.ranking.recorded import find_game, read_games
    from connectfour.terminal.drawing import Film, write_film

    record = find_game(read_games(run), game)
    names = record.first, record.second
    frames = write_film(Film(Game.parse(record.moves), names, record.ending, len(record.opening)), output)
    drawn = "a picture" if frames == 1 else f"{frames} frames"
    _say(f"{output}: game {record.id}, {names[0]} against {names[1]}, {record.ending}; {drawn}")


def app(
    run: Annotated[
        Path | None,
        typer.Option(help="Run folder whose league can be played; by default, without a model, the newest in runs/."),
    ] = None,
    model: Annotated[Path | None, typer.Option(help="An ONNX model that can be played too.")] = None,
    host: Annotated[str, typer.Option(help="Interface to listen on; 0.0.0.0 for all of them.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 7860,
) -> None:
    """Play in the browser: the league's members by rating, their thoughts, leaderboard and recorded games."""
    import tempfile

    from connectfour.errors import ServerError

    try:
        from connectfour.app.serve import check_free, serve
    except ModuleNotFoundError as error:
        raise ServerError(f"the web app needs {error.name}: make install, or pip install '.[web]'") from None
    from connectfour.export.bundle import write_bundle
    from connectfour.run_folder import newest_run

    check_free(host, port)
    if run is None and model is None:
        run = newest_run()
    with tempfile.TemporaryDirectory() as temporary:
        folder = run / "app" if run else Path(temporary)
        players = write_bundle(folder, plain_console(), run=run, model=model)
        _say(f"{len(players)} players of {run or model or 'the heuristics; connectfour train makes better ones'}")
        serve(folder, host, port, lambda address: _say(f"Play at {address} (Ctrl-C stops it)"))


def export_onnx(
    player: Annotated[str, typer.Argument(help="A run folder, whose best network is taken, or a snapshot.")],
    output: Annotated[Path, typer.Option(help="The file to write.")] = Path("model.onnx"),
) -> None:
    """Export a policy as one ONNX file, verified: onnxruntime must play it as Torch does, or nothing is written."""
    from connectfour.export.onnx import export_onnx as export
    from connectfour.ranking.members import best_player

    packed, why = best_player(player)
    done = export(packed, output)
    _say(
        f"{done.path}: {done.player} ({why}), {done.size:,} bytes, opset {done.opset}; onnxruntime agrees with "
        f"Torch on {done.positions:,} positions at batch sizes 1, 7 and 1,024 (they differ by {done.difference:.1e})."
    )


def space(
    run: Annotated[Path, typer.Argument(help="A run folder, better a ranked one.")],
    output: Annotated[Path, typer.Option(help="Folder to write.")],
    top: Annotated[int, typer.Option(min=1, help="How many networks to take, the strongest ones.")] = 8,
) -> None:
    """Write a folder that can be pushed as a Hugging Face Space: the web app with the best of a league."""
    from connectfour.export.space import write_space

    players = write_space(run, output, plain_console(), top=top)
    _say(
        f"{output}: {len(players)} players, {players[-1].id} the strongest. Try it: pip install -r "
        f"{output}/requirements.txt, python {output}/app.py. Publish it: make a Gradio Space, copy the folder into its "
        "repository, commit, push."
    )
