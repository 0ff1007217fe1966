"""The steps of an experiment, as data: commands with the files that they read and write.

One description feeds every way to run them. Who waits for whom follows from the files: a step waits for those that
write what it reads. All paths are relative to the experiment's folder, in which commands run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from graphlib import TopologicalSorter
from typing import Literal

from connectfour.games.registry import DEFAULT
from connectfour.settings.resources import Demand

PROGRAM = "connectfour"


@dataclass(frozen=True)
class Step:
    """A command and what it needs.

    Attributes:
        name: its name, such as ``train-ppo-0``.
        command: its arguments, after ``connectfour``.
        inputs: files that it reads; without one of them, it is skipped.
        outputs: files and folders that it writes.
        sources: files of which it reads those that there are; without any of them, it is skipped.
        condition: a file that says yes or no: whether the step is wanted.
        why: the condition in words.
        demand: what it asks Ray for.
        ray: whether its command uses Ray: none; a ``private`` one; or the ``shared`` one that runs the experiment, and
            then the step holds nothing itself.
        variant: the variant to whose runs it belongs; None if it is about all runs.
        seed: the seed of its run, and its own; None if it is about all runs.
        resumes: whether the command goes on from its own outputs if it was cut off.
        folder: a folder that is this step's alone; it is put aside, not overwritten, if the step begins anew.
        is_last: whether it runs when all others have ended, however they ended.
        seconds: how long it will take, roughly; None if nobody knows.
        game: name of the game of its run.
    """

    name: str
    command: tuple[str, ...]
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    condition: str | None = None
    why: str = ""
    demand: Demand = field(default_factory=lambda: Demand(num_cpus=1))
    ray: Literal["none", "private", "shared"] = "none"
    variant: str | None = None
    seed: int | None = None
    resumes: bool = False
    folder: str | None = None
    is_last: bool = False
    seconds: float | None = 5.0
    game: str = DEFAULT

    @property
    def kind(self) -> str:
        """What it does: ``train`` for ``train-ppo-0``."""
        return self.name.partition("-")[0]

    @property
    def cores(self) -> float:
        """Logical cores that it holds."""
        return 0.0 if self.ray == "shared" else self.demand.num_cpus or 1.0

    @property
    def reads(self) -> tuple[str, ...]:
        """Everything that it may read."""
        return (*self.inputs, *self.sources, *([self.condition] if self.condition else []))


class Graph:
    """Steps, and who waits for whom.

    Attributes:
        steps: by name, in an order in which they can run.
        game: name of the game of all runs.
    """

    def __init__(self, steps: Iterable[Step], game: str = DEFAULT) -> None:
        """Connect ``steps``, all about runs of ``game``.

        Raises:
            ValueError: two steps have the same name or output, or steps wait for each other.
        """
        given: dict[str, Step] = {}
        self._writers: dict[str, str] = {}
        for step in steps:
            if given.setdefault(step.name, step) is not step:
                raise ValueError(f"two steps have the name {step.name}")
            for output in step.outputs:
                if self._writers.setdefault(output, step.name) != step.name:
                    raise ValueError(f"two steps write {output}")
        self._given, self.game = given, game
        self.steps: dict[str, Step] = {name: given[name] for name in self.sorter().static_order()}

    @cached_property
    def predecessors(self) -> Mapping[str, tuple[str, ...]]:
        """By name of a step, the steps for which it waits."""
        others = tuple(step.name for step in self._given.values() if not step.is_last)
        return {
            step.name: others if step.is_last else self.writers_of(step.reads, besides=step.name)
            for step in self._given.values()
        }

    def writers_of(self, files: Iterable[str], besides: str = "") -> tuple[str, ...]:
        """Return the steps that write ``files``."""
        writers = dict.fromkeys(self._writers[file] for file in files if file in self._writers)
        return tuple(writer for writer in writers if writer != besides)

    def ancestors(self, name: str) -> set[str]:
        """Return all steps for which a step waits, directly or not."""
        found: set[str] = set()
        left = [name]
        while left:
            new = set(self.predecessors[left.pop()]) - found
            found |= new
            left += new
        return found

    def sorter(self) -> TopologicalSorter[str]:
        """Return the order of the steps as the standard library's sorter, which gives those that are ready."""
        return TopologicalSorter(self.predecessors)
