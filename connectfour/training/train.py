"""A training run: RLlib's algorithm in a Tune experiment, in a run folder, resumable."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray import tune
from ray.exceptions import RayError

from callbacks.progress import CheckpointClock, PartPruner, ProgressCallback
from callbacks.start import StartCallback
from connectfour import errors
from connectfour.cluster.dashboard import describe_dashboard, require_dashboard
from connectfour.cluster.offer import cluster_offer
from connectfour.cluster.session import ray_session, runs_here, silence, without_tracebacks
from connectfour.cluster.traces import describe
from connectfour.errors import ConfigError, ConnectFourError, RunDoneError, TrainingError
from connectfour.league.manifest import read_manifest
from connectfour.learning.guests import with_own_guests
from connectfour.learning.league_config import LeagueConfig
from connectfour.learning.placement import fit_to_node, needs_of
from connectfour.networks.network import make_network
from connectfour.rllib.parted_algorithm import ENDED
from connectfour.runs.checkpoints import CheckpointInfo
from connectfour.runs.curves import draw_learning
from connectfour.runs.folder import RunFolder
from connectfour.runs.leftovers import clear_leftovers, note_session
from connectfour.runs.progress import ProgressRow, limit_reached, rewind
from connectfour.settings.reading import load_settings
from connectfour.settings.schema import RunSettings, StopSettings
from connectfour.system.names import load_name
from connectfour.system.observer import ConsoleObserver, Observer
from connectfour.system.signals import stop_signals
from connectfour.training.loggers import LeanJsonLogger, Logger, known_logger, logger_callback
from connectfour.training.memory import check_memory
from connectfour.training.place import Place, opened

_MOST_SECONDS_OF_A_KILLED_COMMAND = 60.0


@dataclass(frozen=True)
class TrainingResult:
    """The outcome of a training run, or of a part of it.

    Attributes:
        run: the run's folder; its policies are the players ``snapshot:RUN/main``, ``/best`` and ``/v1`` ...
        settings: the settings as used.
        last: the last iteration.
        checkpoint: the newest complete checkpoint.
        interrupted: whether Ctrl-C ended it.
        limit: the limit in the section ``stop`` that ended it, if any.
    """

    run: RunFolder
    settings: RunSettings
    last: ProgressRow
    checkpoint: CheckpointInfo
    interrupted: bool
    limit: str | None


def train(
    settings: RunSettings | None = None,
    run_dir: str | Path | None = None,
    *,
    address: str | None = None,
    dashboard: bool = False,
    logger: str | None = None,
    observer: Observer | None = None,
) -> TrainingResult:
    """Train a new run until it reaches a limit or Ctrl-C is pressed.

    Args:
        settings: by default, five minutes of PPO with default settings.
        run_dir: folder of the run; by default a new one in ``runs/``.
        address: a Ray cluster, as for ``ray.init``; by default Ray runs on this machine during training.
        dashboard: also start Ray's dashboard and say where it is; a cluster has its own.
        logger: an experiment tracker that also gets every result: ``wandb``, ``mlflow`` or ``aim``.
        observer: receives progress reports; by default they are printed.

    Raises:
        RunFolderError: ``run_dir`` already has contents.
        ConfigError: a setting is invalid or needs too much memory, or the package of the logger or the dashboard is
            not installed.
        ClusterError: no cluster answers at ``address``, or it can never give what ``settings.resources`` asks for.
        TrainingError: training failed.
    """
    settings = settings or load_settings()
    tracker = _check(settings, logger, address, dashboard=dashboard)
    _config(settings)
    with opened(run_dir or default_run_dir()) as place:
        folder = place.folder
        folder.check_new()
        with folder.lock(), observer or ConsoleObserver() as reporting:
            folder.check_new()
            with _ray_for(folder, settings, address, reporting, dashboard=dashboard):
                config = _config(settings)  # again: now Ray says how many GPUs there are
                place.check(settings)
                folder.write_settings(settings)
                reporting.say(f"Training in {folder} {_describe(settings.stop)}. Ctrl-C stops and saves a checkpoint.")
                place.configure(config, None)
                return _fit(config, place, reporting, tracker)


def resume(
    run_dir: str | Path,
    overrides: list[str] | None = None,
    *,
    address: str | None = None,
    dashboard: bool = False,
    logger: str | None = None,
    observer: Observer | None = None,
) -> TrainingResult:
    """Resume the run in ``run_dir`` from its newest whole checkpoint, with ``overrides`` of its settings.

    A run that was killed before its first checkpoint starts from the beginning. The other arguments are those of
    ``train``.

    Raises:
        RunFolderError: it is not a run, is in use, has no whole checkpoint, or has reached its limits.
        ConfigError: an override is not valid, or the logger's package is not installed.
        SnapshotError: the league's manifest is damaged.
        ClusterError: no cluster answers at ``address``.
        TrainingError: training failed.
    """
    with opened(run_dir) as place:
        folder = place.folder
        folder.check_run()
        with folder.lock(), observer or ConsoleObserver() as reporting:
            settings = folder.read_settings(overrides or [])
            return _resume(place, settings, reporting, address, logger, dashboard=dashboard)


def train_or_resume(
    settings: RunSettings,
    run_dir: str | Path,
    *,
    address: str | None = None,
    dashboard: bool = False,
    logger: str | None = None,
    observer: Observer | None = None,
) -> TrainingResult | None:
    """Train a run, or resume it with ``settings`` if it has begun; return None if it has reached its limits.

    A command that was killed a moment ago may still be ending: this waits for it. Arguments and errors are otherwise
    those of ``train`` and ``resume``.

    Raises:
        RunFolderError: as ``resume``; or ``settings`` change what the run's checkpoints depend on.
    """
    with opened(run_dir, _MOST_SECONDS_OF_A_KILLED_COMMAND) as place:
        folder = place.folder
        with folder.lock(_MOST_SECONDS_OF_A_KILLED_COMMAND):
            has_begun = folder.config.is_file()
        if has_begun:
            return _go_on(place, settings, observer, address, logger, dashboard=dashboard)
    return train(settings, run_dir, address=address, dashboard=dashboard, logger=logger, observer=observer)


def _go_on(
    place: Place,
    settings: RunSettings,
    observer: Observer | None,
    address: str | None,
    logger: str | None,
    *,
    dashboard: bool,
) -> TrainingResult | None:
    """Resume a run that has begun with ``settings``; return None if it has reached its limits."""
    folder = place.folder
    with folder.lock(_MOST_SECONDS_OF_A_KILLED_COMMAND), observer or ConsoleObserver() as reporting:
        folder.check_settings(settings)
        try:
            return _resume(place, settings, reporting, address, logger, dashboard=dashboard)
        except RunDoneError:
            draw_learning(folder.progress, folder.learning_curves, settings.metrics)
            place.finish()
            return None


def _resume(
    place: Place,
    settings: RunSettings,
    reporting: Observer,
    address: str | None,
    logger: str | None,
    *,
    dashboard: bool,
) -> TrainingResult:
    """Resume a run that this process has locked."""
    folder, tracker = place.folder, _check(settings, logger, address, dashboard=dashboard)
    checkpoint = folder.newest_checkpoint(reporting.say)
    read_manifest(folder.manifest)
    if checkpoint:
        _check_limits(folder, settings.stop, checkpoint)
    iteration = checkpoint.iteration if checkpoint else 0
    clear_leftovers(folder)
    own = with_own_guests(settings, folder) if checkpoint else settings
    with _ray_for(folder, own, address, reporting, dashboard=dashboard):
        place.check(own)
        folder.write_settings(settings)
        if checkpoint:
            rewind(folder.progress, iteration, settings.metrics)
        elif folder.progress.exists():
            folder.progress.replace(folder.progress.with_suffix(".old.csv"))
        config = _config(own, seed_shift=iteration)
        place.configure(config, checkpoint.path if checkpoint else None)
        reporting.say(
            f"Resuming {folder} at iteration {iteration}, {checkpoint.env_steps:,} env steps, "
            f"{_describe(settings.stop)}."
            if checkpoint
            else f"{folder} has no checkpoint yet: starting it from the beginning, {_describe(settings.stop)}."
        )
        return _fit(config, place, reporting, tracker)


@contextmanager
def _ray_for(
    folder: RunFolder, settings: RunSettings, address: str | None, observer: Observer, *, dashboard: bool
) -> Iterator[None]:
    """Run Ray, and note where it keeps its temporary files: a resume removes those of a command that was killed."""
    with ray_session(address, cpus=settings.cores, dashboard=dashboard) as session:
        offer = cluster_offer()
        if not session:
            observer.say(f"Ray: {offer}.")
        offer.check(needs_of(_config(settings)))
        if session:
            note_session(folder, session)
        if dashboard:
            observer.say(describe_dashboard())
        try:
            yield
        finally:
            folder.session.unlink(missing_ok=True)


def _check_limits(folder: RunFolder, limits: StopSettings, checkpoint: CheckpointInfo) -> None:
    """Refuse to resume a run that has reached a limit."""
    reached = limit_reached(
        limits, minutes=checkpoint.minutes, env_steps=checkpoint.env_steps, league_size=checkpoint.league_size
    )
    if reached:
        raise RunDoneError(
            f"{folder} has reached its limit of stop.{reached} = {getattr(limits, reached):,}: "
            f"raise it with {raised_limit(limits, reached)}"
        )


def raised_limit(limits: StopSettings, name: str) -> str:
    """Return the option that doubles the limit ``name``."""
    limit = getattr(limits, name)
    return f"-p stop.{name}={2 * limit:g}" if name == "minutes" else f"-p stop.{name}={2 * int(limit)}"


def default_run_dir(config: Path | None = None) -> Path:
    """Return the name of a new folder in ``runs``, built from the configuration's name and the time."""
    return Path("runs") / f"{config.stem if config else 'run'}-{time.strftime('%Y%m%d-%H%M%S')}"


class LimitStopper(tune.Stopper):  # type: ignore[misc]  # Ray's classes are untyped here
    """Ends a trial at the first limit, or after the iteration in which ``interrupt`` was called.

    Attributes:
        interrupted: whether ``interrupt`` was called.
        reached: the limit that ended the trial, if any.
    """

    def __init__(self, limits: StopSettings) -> None:
        """Stop at ``limits``."""
        self._limits = limits
        self.interrupted = False
        self.reached: str | None = None

    def interrupt(self) -> None:
        """End the trial after the current iteration."""
        self.interrupted = True

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Return whether the trial ends with this result."""
        if ENDED in result:  # an error follows, which says why
            return False
        self.reached = limit_reached(
            self._limits,
            minutes=result["time_total_s"] / 60,
            env_steps=result["env_steps"],
            league_size=result["league_size"],
        )
        return self.interrupted or self.reached is not None

    def stop_all(self) -> bool:
        """Leave the decision to the single trial."""
        return False


def _check(settings: RunSettings, logger: str | None, address: str | None, *, dashboard: bool) -> Logger | None:
    """Reject settings that cannot work, and return the tracker called ``logger``."""
    if not hasattr(settings, "configuration"):
        raise ConfigError("these settings name no algorithm: build them with load_settings")
    if settings.network.has_own_encoder:
        make_network(settings.architecture)  # here, so that it is refused early, and sent to other nodes
    if runs_here(address):
        check_memory(settings)
        if dashboard:
            require_dashboard()
    return known_logger(logger) if logger else None


def _config(settings: RunSettings, seed_shift: int = 0) -> LeagueConfig:
    # RLlib logs a notice about its API stack with every configuration.
    silence()
    config_class: type[LeagueConfig] = load_name(settings.configuration)
    return config_class.from_settings(settings, seed_shift=seed_shift)


def _describe(limits: StopSettings) -> str:
    words = {"minutes": "minute", "env_steps": "env step", "league_size": "league member"}
    named = [
        f"{limit:,.12g} {word}{'' if limit == 1 else 's'}"
        for name, word in words.items()
        if (limit := getattr(limits, name)) is not None
    ]
    return f"until {' or '.join(named)}" if named else "without a limit"


def _fit(config: LeagueConfig, place: Place, observer: Observer, logger: Logger | None) -> TrainingResult:
    settings, folder = config.settings, place.folder
    fit_to_node(config)
    place.written()
    stopper = LimitStopper(settings.stop)
    progress = ProgressCallback(folder, settings, observer)
    start = StartCallback(needs_of(config), observer, settings.fault.patience, lambda: stopper.interrupted)
    clock = CheckpointClock(settings.checkpoint.minutes)
    trackers = [logger_callback(logger, folder.path.resolve().name)] if logger else []
    part = folder.next_part()
    pruner = PartPruner(folder, part, settings.checkpoint.keep, place.mirror)
    with without_tracebacks(), stop_signals(stopper.interrupt, "Stopping after this iteration and saving a checkpoint"):
        tuner = tune.Tuner(
            config.algo_class,
            param_space=config,
            tune_config=tune.TuneConfig(trial_dirname_creator=lambda _: part),
            run_config=tune.RunConfig(
                name=folder.checkpoints.name,
                **place.tune,
                stop=stopper,
                callbacks=[start, progress, clock, pruner, LeanJsonLogger(), *place.callbacks(observer.say), *trackers],
                checkpoint_config=tune.CheckpointConfig(
                    num_to_keep=settings.checkpoint.keep,
                    checkpoint_score_attribute="league_score",
                    checkpoint_frequency=settings.checkpoint.every,
                    checkpoint_at_end=True,
                ),
                verbose=0,
            ),
        )
        try:
            results = tuner.fit()
        except (ConnectFourError, OSError):
            raise
        except Exception as error:  # whatever a tracker raises, for example without its API key
            raise _training_error(error, folder) from error
        finally:
            place.finish()
    place.trained()
    if results.errors:
        raise _training_error(results.errors[0], folder)
    if progress.last is None:
        raise TrainingError(f"training in {folder} ended before its first iteration: run it again")
    draw_learning(folder.progress, folder.learning_curves, settings.metrics)
    place.finish()
    checkpoint = folder.newest_checkpoint()
    if checkpoint is None:
        raise TrainingError(f"training in {folder} wrote no checkpoint: check its free space, and run it again")
    return TrainingResult(folder, settings, progress.last, checkpoint, stopper.interrupted, stopper.reached)


def _training_error(error: BaseException, folder: RunFolder) -> ConnectFourError:
    """Return the league's own error if it ended the trial, else one that points to Tune's error file."""
    # An error in the trial's constructor arrives as text only.
    own = re.search(r"connectfour\.errors\.(\w+): (.+)", str(error))
    if own and hasattr(errors, own[1]):
        league_error: ConnectFourError = getattr(errors, own[1])(own[2])
        return league_error
    records = sorted(folder.checkpoints.glob("*/error.txt"), key=lambda file: file.stat().st_mtime)
    where = f"; see {records[-1]} for details" if records else ""
    if isinstance(error, RayError):
        return TrainingError(f"training failed: {describe(error)}{where}")
    lines = str(error).strip().splitlines()
    return TrainingError(f"training failed: {lines[-1] if lines else type(error).__name__}{where}")
