"""A training run: RLlib's algorithm in a Tune experiment, in a run folder, resumable."""

from __future__ import annotations

import re
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from ray import tune
from rich.console import Console

from callbacks.progress import ProgressCallback, rewind
from callbacks.self_play import SelfPlayCallback
from connectfour import errors
from connectfour.config import RunSettings, StopSettings
from connectfour.errors import ConnectFourError, RunFolderError, TrainingError
from connectfour.interrupt import stop_signals
from connectfour.league.snapshots import SnapshotStore
from connectfour.learning.ppo.algorithm import SelfPlayPPO, SelfPlayPPOConfig
from connectfour.ray_session import ray_session, silence
from connectfour.run_folder import RunFolder
from connectfour.training.curves import draw_learning


class LimitStopper(tune.Stopper):  # type: ignore[misc]  # Ray's classes are untyped here
    """Ends a trial at the first limit that is reached, or after the iteration in which ``interrupt`` was called."""

    def __init__(self, limits: StopSettings) -> None:
        """Stop at ``limits``."""
        self._limits = limits
        self.interrupted = False

    def interrupt(self) -> None:
        """End the trial after its present iteration."""
        self.interrupted = True

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Tell whether the trial ends with this result."""
        return (
            self.interrupted
            or limit_reached(
                self._limits,
                minutes=result["time_total_s"] / 60,
                env_steps=result["env_steps"],
                league_size=result["league_size"],
            )
            is not None
        )

    def stop_all(self) -> bool:
        """Leave it to the single trial."""
        return False


def limit_reached(limits: StopSettings, *, minutes: float, env_steps: int, league_size: int) -> str | None:
    """Return the name of a limit that is reached, or None."""
    reached = {"minutes": minutes, "env_steps": env_steps, "league_size": league_size}
    for name, value in reached.items():
        limit = getattr(limits, name)
        if limit is not None and value >= limit:
            return name
    return None


def train(settings: RunSettings, run_dir: Path, console: Console) -> None:
    """Train a new run in ``run_dir`` until one of its limits, or Ctrl-C.

    Raises:
        RunFolderError: ``run_dir`` holds something already.
        ConfigError: a heuristic is not known.
        TrainingError: training failed.
    """
    config = _config(settings)
    folder = RunFolder(run_dir)
    folder.create(settings)
    with folder.lock():
        console.print(
            f"Training in {run_dir} {_describe(settings.stop)}; Ctrl-C stops it so that it can be resumed.",
            soft_wrap=True,
            highlight=False,
        )
        _fit(config.league(folder=folder.league), folder, console)


def resume(run_dir: Path, overrides: list[str], console: Console) -> None:
    """Go on with the run in ``run_dir`` from its newest checkpoint, with ``overrides`` of its settings.

    Raises:
        RunFolderError: it is no run, is in use, has no complete checkpoint, or has reached its limits.
        ConfigError: an override is not valid.
        SnapshotError: the league's manifest is damaged.
        TrainingError: training failed.
    """
    folder = RunFolder(run_dir)
    settings = folder.read_settings(overrides)
    with folder.lock():
        checkpoint = folder.newest_checkpoint()
        SnapshotStore(folder.league).members()
        reached = limit_reached(
            settings.stop,
            minutes=checkpoint.minutes,
            env_steps=checkpoint.env_steps,
            league_size=checkpoint.league_size,
        )
        if reached:
            limit = getattr(settings.stop, reached)
            raise RunFolderError(
                f"{run_dir} has reached its limit of stop.{reached} = {limit:,}: "
                f"raise it with {_raised(reached, limit)}"
            )
        folder.write_settings(settings)
        rewind(folder.progress_file, checkpoint.iteration)
        console.print(
            f"Resuming {run_dir} at iteration {checkpoint.iteration}, {checkpoint.env_steps:,} env steps, "
            f"{_describe(settings.stop)}.",
            soft_wrap=True,
            highlight=False,
        )
        config = _config(settings, seed_shift=checkpoint.iteration)
        _fit(config.league(folder=folder.league, restore_from=checkpoint.path), folder, console)


def _raised(name: str, limit: float) -> str:
    """Return the option that sets a limit to twice its value."""
    return f"-p stop.{name}={2 * limit:g}" if name == "minutes" else f"-p stop.{name}={2 * int(limit)}"


def _config(settings: RunSettings, seed_shift: int = 0) -> SelfPlayPPOConfig:
    # RLlib tells about its API stack with every configuration.
    silence()
    config = SelfPlayPPOConfig.from_settings(settings, seed_shift=seed_shift)
    config.callbacks(SelfPlayCallback)
    return config


def _describe(limits: StopSettings) -> str:
    words = {"minutes": "minutes", "env_steps": "env steps", "league_size": "members of the league"}
    named = [f"{limit:,g} {word}" for name, word in words.items() if (limit := getattr(limits, name)) is not None]
    return f"until {' or '.join(named)}" if named else "without a limit"


def _fit(config: SelfPlayPPOConfig, folder: RunFolder, console: Console) -> None:
    settings = config.settings
    stopper = LimitStopper(settings.stop)
    progress = ProgressCallback(folder.progress_file, settings.stop, console)
    part = folder.next_part()
    with (
        ray_session(cpus=1 + settings.rollout.env_runners + settings.learners),
        stop_signals(stopper.interrupt, "Stopping after this iteration, with a checkpoint"),
        closing(progress),
    ):
        results = tune.Tuner(
            SelfPlayPPO,
            param_space=config,
            tune_config=tune.TuneConfig(trial_dirname_creator=lambda _: part),
            run_config=tune.RunConfig(
                name=folder.checkpoints.name,
                storage_path=str(folder.path.resolve()),
                stop=stopper,
                callbacks=[progress],
                checkpoint_config=tune.CheckpointConfig(
                    num_to_keep=settings.checkpoint.keep,
                    checkpoint_score_attribute="league_score",
                    checkpoint_frequency=settings.checkpoint.every,
                    checkpoint_at_end=True,
                ),
                verbose=0,
            ),
        ).fit()
    if results.errors:
        raise _training_error(results.errors[0], folder)
    _print_summary(folder, progress, stopper, settings.stop, console)
    draw_learning(folder.progress_file, folder.learning_picture)


def _training_error(error: BaseException, folder: RunFolder) -> ConnectFourError:
    """Return the league's own error if that is what ended the trial, else one that names Tune's record of it."""
    # An error in the trial's constructor arrives as text only.
    own = re.search(r"connectfour\.errors\.(\w+): (.+)", str(error))
    if own and hasattr(errors, own[1]):
        league_error: ConnectFourError = getattr(errors, own[1])(own[2])
        return league_error
    records = sorted(folder.checkpoints.glob("*/error.txt"), key=lambda file: file.stat().st_mtime)
    where = f"; {records[-1]} has the details" if records else ""
    lines = str(error).strip().splitlines()
    return TrainingError(f"training failed: {lines[-1] if lines else type(error).__name__}{where}")


def _print_summary(
    folder: RunFolder, progress: ProgressCallback, stopper: LimitStopper, limits: StopSettings, console: Console
) -> None:
    row = progress.last
    if row is None:
        raise TrainingError(f"training in {folder.path} ended before its first iteration: run it again")
    reached = limit_reached(limits, minutes=row.minutes, env_steps=row.env_steps, league_size=row.league_size)
    more = f" {_raised(reached, getattr(limits, reached))}" if reached else ""
    verb = "Stopped" if stopper.interrupted else "Done"
    console.print(
        f"{verb} after {row.minutes:.1f} minutes: {row.env_steps:,} env steps, a league of {row.league_size}, "
        f"win rate {row.win_rate:.2f} against it.\n"
        f"Go on with:         connectfour train --resume {folder.path}{more}\n"
        f"See how it learned: {folder.learning_picture}\n"
        f"Grade it:           connectfour grade snapshot:{folder.path}/main\n"
        f"See how it plays:   connectfour match snapshot:{folder.path}/main heuristic:tactical",
        soft_wrap=True,
        highlight=False,
    )


def default_run_dir(config: Path | None) -> Path:
    """Return a new folder's name under ``runs``, of the configuration and the time."""
    return Path("runs") / f"{config.stem if config else 'run'}-{time.strftime('%Y%m%d-%H%M%S')}"
