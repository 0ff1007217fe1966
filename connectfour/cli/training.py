"""Commands that train: parsing and wiring only."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from connectfour.cli.console import plain_console
from connectfour.config import describe, get_setting, load_settings
from connectfour.errors import ConfigError

ConfigOption = Annotated[
    Path | None, typer.Option("--config", "-c", help="YAML file of settings; what it leaves out is default.")
]
OverrideOption = Annotated[
    list[str] | None,
    typer.Option("-p", metavar="KEY=VALUE", help="Override one setting by its dotted name; may be repeated."),
]


def train(
    config: ConfigOption = None,
    run_dir: Annotated[
        Path | None, typer.Option(help="Folder of the new run; by default runs/CONFIG-DATE-TIME.", show_default=False)
    ] = None,
    override: OverrideOption = None,
    resume: Annotated[
        Path | None, typer.Option(help="Go on with the run in this folder, from its newest checkpoint.")
    ] = None,
) -> None:
    """Train by self-play PPO, freezing snapshots into a league, until a limit or Ctrl-C."""
    if resume and (config or run_dir):
        raise ConfigError("--resume takes the settings and the folder of its run: leave out --config and --run-dir")
    if resume:
        from connectfour.training import run as training

        training.resume(resume, override or [], plain_console())
        return
    settings = load_settings(config, override or [])
    from connectfour.training import run as training

    training.train(settings, run_dir or training.default_run_dir(config), plain_console())


def settings(config: ConfigOption = None, override: OverrideOption = None) -> None:
    """List every setting with its value and meaning."""
    current = load_settings(config, override or [])
    table = Table("setting", "value", "meaning", box=None)
    for name, description in describe():
        table.add_row(name, str(get_setting(current, name)), description)
    plain_console().print(table)
