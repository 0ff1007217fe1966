"""The command line: all commands, and what an error looks like."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from connectfour import __version__
from connectfour.cli import ranking, showing, training
from connectfour.errors import ConnectFourError

app = typer.Typer(
    name="connectfour",
    help="A self-play league for RLlib that can be trusted, on the solved game of Connect Four.",
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
    """Read the options that stand before a command."""


for _command in (
    training.train,
    ranking.rank,
    ranking.match,
    ranking.grade,
    showing.play,
    showing.replay,
    showing.app,
    showing.export_onnx,
    showing.space,
    ranking.rehearse,
    training.settings,
):
    app.command()(_command)


def main() -> None:
    """Run the command line; an expected error is one sentence and its exit code."""
    try:
        app()
    except ConnectFourError as error:
        sys.stderr.write(f"connectfour: {error}\n")
        sys.exit(error.exit_code)
    except OSError as error:
        where = "" if error.filename is None else f"{error.filename}: "
        reason = (error.strerror or str(error) or type(error).__name__).lower()
        sys.stderr.write(f"connectfour: {where}{reason}; check the path, its permissions and free space\n")
        sys.exit(1)


def export_onnx_main() -> None:
    """Run ``export-onnx`` as a command of its own."""
    sys.argv.insert(1, "export-onnx")
    main()
