"""All commands, as one Typer application."""

from __future__ import annotations

from typing import Annotated

import typer

from connectfour.cli import comparing, experiment, exporting, games, league, playing, ranking, runs, training
from connectfour.version import __version__

app = typer.Typer(
    name="connectfour",
    help="A self-play league for RLlib: Connect Four, or any two-player game.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"connectfour {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Handle the options that come before the command."""


for _command in (
    training.train,
    runs.runs,
    league.league,
    comparing.compare,
    ranking.rank,
    ranking.match,
    ranking.grade,
    experiment.evaluate,
    playing.play,
    playing.film,
    playing.app,
    exporting.export_onnx,
    exporting.space,
    ranking.rehearse,
    training.settings,
    games.games,
):
    app.command()(_command)
app.add_typer(experiment.app)
app.command("replay", hidden=True)(playing.film)  # its name in earlier releases
