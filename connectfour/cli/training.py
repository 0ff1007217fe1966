"""Commands that train: parsing, wiring, printing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from connectfour.errors import INTERRUPTED, ConfigError
from connectfour.settings.describing import describe, get_setting
from connectfour.settings.reading import load_settings
from connectfour.system.observer import plain_console

if TYPE_CHECKING:
    from connectfour.training.train import TrainingResult

ConfigOption = Annotated[
    Path | None, typer.Option("--config", "-c", help="YAML file of settings; all others keep their defaults.")
]
DashboardOption = Annotated[
    bool,
    typer.Option("--dashboard", help="Start Ray's dashboard, and serve metrics for Prometheus (extra dashboard)."),
]
OverrideOption = Annotated[
    list[str] | None,
    typer.Option("-p", metavar="KEY=VALUE", help="Override a setting by its dotted name; may be repeated."),
]


def train(
    config: ConfigOption = None,
    run_dir: Annotated[
        Path | None, typer.Option(help="Folder of the new run.", show_default="runs/CONFIG-DATE-TIME")
    ] = None,
    override: OverrideOption = None,
    resume: Annotated[
        Path | None, typer.Option(help="Resume the run in this folder from its newest checkpoint.")
    ] = None,
    go_on: Annotated[
        bool,
        typer.Option("--continue", help="Resume the run in --run-dir if it has begun; if it is done, do nothing."),
    ] = False,
    address: Annotated[
        str | None, typer.Option(help="Ray cluster to train on, as for ray.init (auto: the one on this machine).")
    ] = None,
    dashboard: DashboardOption = False,
    logger: Annotated[str | None, typer.Option(help="Also log to an experiment tracker: wandb, mlflow or aim.")] = None,
) -> None:
    """Train by self-play, freezing snapshots into a league, until a limit is reached or you press Ctrl-C.

    The learner is PPO, or Ape-X with -p algorithm=apex.

    TensorBoard reads the run folder: tensorboard --logdir RUN.
    """
    if resume and (config or run_dir or go_on):
        raise ConfigError(
            "--resume uses the settings and the folder of its run: leave out --config, --run-dir and --continue"
        )
    if go_on and not run_dir:
        raise ConfigError("--continue needs --run-dir: name the folder of the run")
    settings = load_settings(None if resume else config, [] if resume else override or [])
    from connectfour.training import train as training

    if resume:
        result = training.resume(resume, override or [], address=address, dashboard=dashboard, logger=logger)
    elif go_on and run_dir:
        found = training.train_or_resume(settings, run_dir, address=address, dashboard=dashboard, logger=logger)
        if found is None:
            plain_console().print(f"{run_dir} has reached its limits: there is nothing to do.", soft_wrap=True)
            return
        result = found
    else:
        folder = run_dir or training.default_run_dir(config)
        result = training.train(settings, folder, address=address, dashboard=dashboard, logger=logger)
    _print_summary(result)
    if go_on and result.interrupted:
        raise typer.Exit(INTERRUPTED)


def _print_summary(result: TrainingResult) -> None:
    from connectfour.training.train import raised_limit

    run, row = result.run, result.last
    more = f" {raised_limit(result.settings.stop, result.limit)}" if result.limit else ""
    verb = "Stopped" if result.interrupted else "Done"
    plain_console().print(
        f"{verb} after {row.minutes:.1f} minutes: {row.env_steps:,} env steps, a league of {row.league_size}, "
        f"win rate {row.win_rate:.2f} against its pool.\n"
        f"Resume it:        connectfour train --resume {run}{more}\n"
        f"Learning curves:  {run}/{run.learning_curves.name}, or tensorboard --logdir {run}\n"
        f"Grade it:         connectfour grade snapshot:{run}/main\n"
        f"Rank its league:  connectfour rank {run}",
        soft_wrap=True,
        highlight=False,
    )


def settings(config: ConfigOption = None, override: OverrideOption = None) -> None:
    """List every setting with its value and meaning."""
    current = load_settings(config, override or [])
    table = Table("setting", "value", "meaning", box=None)
    for name, description in describe(type(current)):
        table.add_row(name, str(get_setting(current, name)), description)
    plain_console().print(table)
