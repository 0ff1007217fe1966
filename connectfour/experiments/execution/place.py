"""How steps on other nodes see the folder of an experiment.

Either all nodes see the path, or steps run on this machine alone, or the folder is in an object store: then each step
works in a copy of what it reads, and writes back what it has changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from connectfour.errors import ConfigError, ExperimentError
from connectfour.experiments.execution.graph import Step
from connectfour.runs.folder import COMMANDS_FILES, LEAGUE_FILES
from connectfour.storage.address import is_remote
from connectfour.storage.mirror import Mirror
from connectfour.storage.nodes import check_shared
from connectfour.storage.remote import RemoteFolder
from connectfour.storage.working_copy import checked_out, copy_of

_SECONDS_PER_PUSH = 20.0
_WITHOUT_CHECKPOINTS = ("*", "!*/checkpoints/*")
_SETTINGS = ("experiment.yaml", "variants/*", "outcome.json")


@dataclass(frozen=True)
class Place:
    """Where an experiment is kept.

    Attributes:
        path: its folder, or this command's copy of a folder in an object store.
        mirror: what keeps that copy; None for a path.
        storage: who sees a path: this ``machine`` alone, or ``shared`` by all nodes.
    """

    path: Path
    mirror: Mirror | None = None
    storage: Literal["machine", "shared"] = "machine"

    def check(self) -> None:
        """Check that steps will find the folder wherever they run; Ray is running.

        Raises:
            StorageError: a node does not see it.
        """
        if self.mirror is None and self.storage == "shared":
            check_shared(self.path)

    @property
    def options(self) -> dict[str, Any]:
        """Where Ray may run steps, as options of a task."""
        if self.mirror or self.storage == "shared":
            return {}
        node = ray.get_runtime_context().get_node_id()
        return {"scheduling_strategy": NodeAffinitySchedulingStrategy(node, soft=False)}

    @property
    def seen_by_steps(self) -> Path | RemoteFolder:
        """The folder as ``step_folder`` takes it."""
        return self.mirror.remote if self.mirror else self.path.resolve()

    def send(self) -> None:
        """Let steps see what has been written here."""
        if self.mirror:
            self.mirror.push()

    def fetch(self) -> None:
        """See what steps have written."""
        if self.mirror:
            self.mirror.pull(*_WITHOUT_CHECKPOINTS)


@contextmanager
def opened(output: str | Path, storage: Literal["machine", "shared"], say: Callable[[str], None]) -> Iterator[Place]:
    """Yield the place of an experiment; one in an object store is held, and copied, for as long as the block lasts.

    Args:
        output: a path, or an address in an object store.
        storage: who sees a path.
        say: gets a sentence about where the copy is.

    Raises:
        ConfigError: ``storage`` is about paths, and ``output`` is none.
        ExperimentError: another process runs the experiment.
        StorageError: the store does not answer or refuses.
    """
    if not is_remote(output):
        yield Place(Path(output), storage=storage)
        return
    if storage == "shared":
        raise ConfigError(f"storage = shared is about paths, and {output} is none: leave it out")

    def refusal(owner: str) -> ExperimentError:
        return ExperimentError(f"{owner} is running {output}: wait for it or stop it")

    with checked_out(output, "experiment", refusal) as mirror:
        say(f"Fetching {mirror.remote} into the working copy {mirror.folder}.")
        mirror.pull(*_WITHOUT_CHECKPOINTS)
        try:
            yield Place(mirror.folder, mirror)
        finally:
            mirror.finish()


def _wanted(step: Step) -> Iterator[str]:
    """Yield patterns for what a step may read and what it has written; checkpoints only of its own run."""
    if step.variant is None:
        yield from _WITHOUT_CHECKPOINTS
        return
    yield from (*_SETTINGS, f"steps/{step.name}.*")
    for file in (*step.reads, *step.outputs, *([step.folder] if step.folder else [])):
        yield from (file, f"{file}/*")
    # A step that reads a run's manifest reads the policies that it names.
    runs = {"/".join(file.split("/")[:2]) for file in step.reads if file.startswith("runs/")}
    yield from (f"{run}/{files}" for run in runs for files in (*LEAGUE_FILES, *COMMANDS_FILES))


@contextmanager
def step_folder(place: Path | RemoteFolder, step: Step) -> Iterator[Path]:
    """Yield the experiment's folder as a step sees it; in an object store, a copy of what the step may read."""
    if isinstance(place, Path):
        yield place
        return
    mirror = Mirror(place, copy_of(place, f"step-{step.name}"))
    mirror.pull(*_wanted(step))
    with mirror.pushing(seconds=_SECONDS_PER_PUSH, say=lambda _: None):
        yield mirror.folder
