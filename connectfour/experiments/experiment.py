"""Runs an experiment in its folder: from nothing, or only what is missing or has changed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from math import ceil
from pathlib import Path

from connectfour.cluster.dashboard import describe_dashboard, require_dashboard
from connectfour.cluster.offer import Waiting, cluster_offer
from connectfour.cluster.session import ray_session, runs_here
from connectfour.errors import ExperimentError
from connectfour.experiments.execution.display import describe_ending, live_table, status_line
from connectfour.experiments.execution.endings import Ending
from connectfour.experiments.execution.estimate import bytes_needed, describe_bytes, describe_minutes, seconds_needed
from connectfour.experiments.execution.graph import Graph, Step
from connectfour.experiments.execution.place import opened
from connectfour.experiments.execution.receipts import Receipts
from connectfour.experiments.execution.scheduler import Scheduler
from connectfour.experiments.layout import ExperimentFolder
from connectfour.experiments.preparing import check_folder, locked_folder, prepare
from connectfour.experiments.reading import Experiment
from connectfour.system.observer import ConsoleObserver, Observer
from connectfour.system.signals import stop_signals

_SECONDS_BEFORE_A_NOTICE = 20.0


@dataclass(frozen=True)
class ExperimentResult:
    """What became of an experiment.

    Attributes:
        folder: its folder.
        endings: by step, how it ended.
        interrupted: whether Ctrl-C ended it.
    """

    folder: ExperimentFolder
    endings: dict[str, Ending]
    interrupted: bool


def run_experiment(
    experiment: Experiment,
    output: str | Path,
    *,
    address: str | None = None,
    dashboard: bool = False,
    command: str = "",
    observer: Observer | None = None,
) -> ExperimentResult:
    """Run the steps of an experiment that are missing or have changed.

    A step that fails is tried again as the experiment says; then what depends on it is skipped, and the rest goes on.
    Ctrl-C asks the steps that run to stop at a point to resume from.

    Args:
        experiment: what to run.
        output: its folder, new or of an earlier call; a path, or an address in an object store.
        address: a Ray cluster, as for ``ray.init``; by default Ray runs on this machine while steps run.
        dashboard: also start Ray's dashboard and say where it is; a cluster has its own.
        command: how the user called it; for the report.
        observer: receives progress reports; by default they are printed.

    Raises:
        ExperimentError: the folder holds something else, is in use, or cannot be written; or steps failed.
        ClusterError: no cluster answers at ``address``, or it cannot give a step what it asks for.
    """
    if dashboard and runs_here(address):
        require_dashboard()
    reporting = observer or ConsoleObserver()
    with opened(output, experiment.settings.storage, reporting.say) as place:
        folder = ExperimentFolder(place.path)
        check_folder(folder, experiment)
        with locked_folder(folder), reporting:
            check_folder(folder, experiment)
            graph = prepare(experiment, folder)
            receipts = Receipts(folder)
            todo = plan(graph, receipts)
            retries = experiment.settings.retries
            scheduler = Scheduler(graph, folder, receipts, retries=retries, command=command, place=place)
            with _ray_for(todo, address, dashboard=dashboard) as session:
                if todo:
                    scheduler.check_demands(todo)
                    check_shared(experiment)
                    place.check()
                if todo and dashboard:
                    reporting.say(_describe_watching(todo))
                    if not session:
                        reporting.say(f"Ray: {cluster_offer()}.")
                reporting.say(describe_plan(experiment, scheduler, todo))
                interrupted = _run(scheduler, reporting)
    if not interrupted:
        _check_success(scheduler.failed, scheduler.counts["skipped"], folder.path)
    return ExperimentResult(folder, scheduler.endings, interrupted)


@contextmanager
def _ray_for(steps: Sequence[Step], address: str | None, *, dashboard: bool) -> Iterator[Path | None]:
    """Run Ray, or connect to it, if there is anything to do; yield the folder of a Ray that was started here."""
    if not steps:
        yield None
        return
    cpus = max(ceil(step.demand.num_cpus or 1) for step in steps)
    with ray_session(address, cpus=cpus, dashboard=dashboard) as session:
        yield session


def check_shared(experiment: Experiment) -> None:
    """Check that trainings that join this Ray can have what they ask it for.

    Raises:
        ClusterError: they never can.
    """
    if experiment.settings.resources.ray == "shared":
        for variant in experiment.variants:
            cluster_offer().check(variant.settings.needs)


def _describe_watching(steps: Sequence[Step]) -> str:
    """Return where the experiment is watched, and what is not seen there."""
    described = describe_dashboard()
    if any(step.ray == "private" for step in steps):
        return f"{described} It shows steps; with -p resources.ray=shared, what they train and rank is seen there, too."
    return described


def _run(scheduler: Scheduler, observer: Observer) -> bool:
    """Run all steps, and return whether Ctrl-C ended it."""
    interrupted, waiting = False, Waiting(observer.say, first=_SECONDS_BEFORE_A_NOTICE)

    def interrupt() -> None:
        nonlocal interrupted
        interrupted = True
        scheduler.interrupt()

    def ended(step: Step, ending: Ending) -> None:
        if ending.state != "waiting" or ending.seconds is not None:  # else it was interrupted before it began
            observer.say(describe_ending(scheduler, step, ending))

    def show() -> None:
        if scheduler.began:
            observer.show(partial(status_line, scheduler), partial(live_table, scheduler))
        if scheduler.is_held_up:
            waiting.go_on(scheduler.describe_waiting)
        else:
            waiting.over()

    with stop_signals(interrupt, "Stopping the steps that run; the same command goes on"):
        scheduler.run(show, ended)
    return interrupted


def describe_plan(experiment: Experiment, scheduler: Scheduler, todo: Sequence[Step]) -> str:
    """Return what will be done, ``todo``, and what it will need, as a few sentences."""
    graph, folder, cores = scheduler.graph, scheduler.folder, scheduler.cores or 1.0
    done = len(graph.steps) - len(todo)
    seeds = experiment.seeds
    runs = f"{len(seeds)} run{'s' if len(seeds) > 1 else ''}"
    variants = ", ".join(variant.name for variant in experiment.variants)
    sentences = [f"{experiment.name}: {runs} of {variants} in {folder.path}."]
    if not todo:
        return f"{sentences[0]} All {done} steps are up to date."
    trainings = [step for step in todo if step.kind == "train"]
    seconds = seconds_needed([(step, step.seconds) for step in todo], cores)
    size, free = bytes_needed(experiment, trainings), shutil.disk_usage(folder.path).free
    up_to_date = f", {done} are up to date" if done else ""
    trained = "1 training" if len(trainings) == 1 else f"{len(trainings)} trainings"
    sentences.append(
        f"{len(todo)} of {len(graph.steps)} steps are to be done{up_to_date}: {trained}; about "
        f"{describe_minutes(seconds)} and {describe_bytes(size)} on {cores:g} cores."
    )
    if size > free:
        sentences.append(f"Only {describe_bytes(free)} are free there: make room, or use fewer or shorter runs.")
    sentences.append("Ctrl-C stops, and the same command goes on.")
    return " ".join(sentences)


def plan(graph: Graph, receipts: Receipts) -> list[Step]:
    """Return the steps that are to be done: those that are not up to date, and all that read what they write."""
    stale: dict[str, Step] = {}
    for name, step in graph.steps.items():
        follows = any(before in stale for before in graph.predecessors[name])
        if follows or not (receipts.is_unwanted(step) or receipts.lacks_sources(step) or receipts.is_done(step)):
            stale[name] = step
    return list(stale.values())


def _check_success(failed: Mapping[str, str], skipped: int, folder: Path) -> None:
    """Raise if steps failed.

    Raises:
        ExperimentError: some did; the message names the first one with its log.
    """
    if not failed:
        return
    name, reason = next(iter(failed.items()))
    others = f" and {len(failed) - 1} more" if len(failed) > 1 else ""
    left = f", {skipped} were skipped" if skipped else ""
    log = ExperimentFolder(folder).log(name)
    raise ExperimentError(
        f"{name}{others} failed{left} ({reason.rstrip('.')}): see {log}, fix the cause, and run the same command again"
    )
