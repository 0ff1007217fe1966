"""Runs the steps of an experiment as Ray tasks: each as soon as those it waits for have ended, wherever it fits.

Ray places the steps, holds their cores, and repeats those whose process or node is lost. A step holds cores and its
command needs some, so the command must not wait for them itself: it starts a Ray of its own, sized to what the step
holds, or it joins the Ray that runs the experiment, and its step holds nothing.
"""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError, TaskCancelledError

from connectfour.cluster.offer import cluster_offer, shortage
from connectfour.cluster.traces import describe, place_of
from connectfour.experiments.execution.endings import Ending, State, left_out, write_outcome, write_status
from connectfour.experiments.execution.graph import Graph, Step
from connectfour.experiments.execution.performing import perform
from connectfour.experiments.execution.place import Place, step_folder
from connectfour.experiments.execution.receipts import Receipts
from connectfour.experiments.layout import ExperimentFolder
from connectfour.settings.resources import actor_options
from connectfour.storage.remote import RemoteFolder
from connectfour.system.need import Need

_SECONDS_PER_LOOK = 0.5
_SECONDS_PER_FETCH = 20.0
_THREADS = "OMP_NUM_THREADS"


class Scheduler:
    """Runs the steps of a graph on the Ray that this process uses.

    Attributes:
        graph: the steps.
        folder: the experiment's folder.
        receipts: those in that folder.
        endings: by name, how each step is.
        began: by name, when the steps that Ray has been given were handed over, in seconds of ``time.time``.
        cores: what Ray offers; None until ``check_demands``.
    """

    def __init__(
        self,
        graph: Graph,
        folder: ExperimentFolder,
        receipts: Receipts,
        *,
        retries: int = 0,
        command: str = "",
        place: Place | None = None,
    ) -> None:
        """Prepare to run ``graph``.

        Args:
            graph: the steps.
            folder: the experiment's folder, in which ``prepare`` has written the settings.
            receipts: those in that folder.
            retries: how often a step that fails is tried again.
            command: how the user called it; for the report.
            place: how steps see that folder; by default, they run on this machine.
        """
        self._place = place or Place(folder.path)
        self.graph, self.folder, self.receipts = graph, folder, receipts
        self.endings = {name: Ending() for name in graph.steps}
        self.began: dict[str, float] = {}
        self.cores: float | None = None
        self._retries, self._command = retries, command
        self._tasks: dict[Any, Step] = {}
        self._interrupted = False
        self._status_due = 0.0
        self._fetch_due = 0.0

    @property
    def counts(self) -> Counter[State]:
        """How many steps are in each state."""
        return Counter(ending.state for ending in self.endings.values())

    @property
    def failed(self) -> dict[str, str]:
        """The steps that failed, with the reason."""
        return {name: ending.reason for name, ending in self.endings.items() if ending.state == "failed"}

    def seconds_of(self, step: Step) -> float | None:
        """Return for how many seconds a step's command has been running; None if it has not begun."""
        try:
            since = self.folder.begun(step.name).stat().st_mtime
        except OSError:
            return None
        return time.time() - since if since >= self.began[step.name] else None

    def interrupt(self) -> None:
        """Begin no more steps, and ask those that run to end at a point to resume from."""
        self._interrupted = True

    def run(self, show: Callable[[], None], ended: Callable[[Step, Ending], None]) -> None:
        """Run until every step has ended, or until ``interrupt``.

        Args:
            show: called several times a second.
            ended: called with each step that has run, failed, or was left out.
        """
        sorter = self.graph.sorter()
        sorter.prepare()
        asked_to_stop = False
        while sorter.is_active() and not (self._interrupted and not self._tasks):
            for name in sorter.get_ready():
                step = self.graph.steps[name]
                if self._begin(step):
                    continue
                if self.endings[name].state != "done":
                    ended(step, self.endings[name])
                sorter.done(name)
            if self._interrupted and not asked_to_stop:
                asked_to_stop = True
                for task in self._tasks:
                    ray.cancel(task)
            for step in self._wait():
                ended(step, self.endings[step.name])
                if self.endings[step.name].state != "waiting":
                    sorter.done(step.name)
            self._write_status()
            show()
        self._write_status(at_end=True)

    def _begin(self, step: Step) -> bool:
        """Hand a step that is ready over to Ray; return False if it need not or cannot run."""
        if self._interrupted:
            return True  # it stays as it is
        ending = self.endings[step.name]
        if step.is_last:
            write_outcome(self.graph, self.folder, self.endings, self._command)
        reason = left_out(step, self.graph, self.endings, self.receipts)
        if reason:
            ending.state, ending.reason = reason
            self.receipts.discard(step)
            return False
        if self.receipts.is_done(step):
            ending.state = "done"
            return False
        ending.state = "running"
        self.began[step.name] = time.time()
        address = ray.get_runtime_context().gcs_address if step.ray == "shared" else None
        self._place.send()
        task = (
            ray.remote(_perform)
            .options(name=step.name, **_options(step), **self._place.options)
            .remote(os.environ.get(_THREADS), step, self._place.seen_by_steps, address, self._retries)
        )
        self._tasks[task] = step
        return True

    def _wait(self) -> list[Step]:
        """Wait a moment, and return the steps that have ended."""
        if not self._tasks:
            return []
        ready, _ = ray.wait(list(self._tasks), num_returns=1, timeout=_SECONDS_PER_LOOK)
        if ready or time.monotonic() >= self._fetch_due:
            self._place.fetch()
            self._fetch_due = time.monotonic() + _SECONDS_PER_FETCH
        found = []
        for task in ready:
            step = self._tasks.pop(task)
            ending = self.endings[step.name]
            ending.seconds = self.seconds_of(step)
            ending.state, ending.reason = _result(task, self.began[step.name])
            if ending.state == "done":
                ending.seconds = (self.receipts.read(step) or {}).get("seconds")
            found.append(step)
        return found

    def check_demands(self, steps: Iterable[Step]) -> None:
        """Ask Ray what it offers.

        Args:
            steps: those that may run.

        Raises:
            ClusterError: no node has what a step asks for, and it would wait for ever.
        """
        offer = cluster_offer()
        self.cores = offer.total("CPU")
        for step in steps:
            offer.check([_need(step)])

    @property
    def is_held_up(self) -> bool:
        """Whether there are steps to run, and none of them has found room."""
        return bool(self._tasks) and all(self.seconds_of(step) is None for step in self._tasks.values())

    def describe_waiting(self) -> str:
        """Return what the next step needs and what Ray has free of it, as a sentence."""
        step = next(iter(self._tasks.values()))
        return f"{step.name} is waiting for room: {shortage([_need(step)])}."

    def _write_status(self, *, at_end: bool = False) -> None:
        """Note how far the experiment is, at most once a second."""
        if time.monotonic() < self._status_due and not at_end:
            return
        self._status_due = time.monotonic() + 1.0
        with suppress(OSError):  # a full disk ends the steps that write results; this is only a note
            write_status(self.graph, self.folder, self.endings)


def _perform(
    threads: str | None, step: Step, place: Path | RemoteFolder, ray_address: str | None, retries: int
) -> None:
    # Ray cancels a task by an interrupt, which a process that was started in the background would ignore.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if threads is None:
        # Ray has set it to the step's cores; each process of the command would take as many threads.
        os.environ.pop(_THREADS, None)
    with step_folder(place, step) as folder:
        perform(step, folder, ray_address, retries)


def _need(step: Step) -> Need:
    """Return what a step asks Ray for; one that joins the Ray that runs the experiment holds nothing."""
    amounts = {} if step.ray == "shared" else {**step.demand.amounts, "CPU": step.cores}
    return Need(f"step {step.name}", f"resources.{step.kind}", amounts)


def _options(step: Step) -> dict[str, Any]:
    """Return the same as options of a Ray task."""
    return {"num_gpus": 0, **actor_options(_need(step).amounts)}


def _result(task: Any, since: float) -> tuple[State, str]:
    try:
        ray.get(task)
    except TaskCancelledError:
        return "waiting", ""
    except RayTaskError as error:
        cause = error.cause
        return ("waiting", "") if isinstance(cause, KeyboardInterrupt) else ("failed", f"{cause}{place_of(error)}")
    except RayError as error:
        return "failed", f"the process that ran it was lost ({describe(error, since)})"
    return "done", ""
