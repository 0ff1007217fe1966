"""All that is known of an experiment, from its folder."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from connectfour.errors import ConnectFourError
from connectfour.experiments.execution.graph import PROGRAM
from connectfour.experiments.layout import ExperimentFolder, ResultFolder
from connectfour.experiments.reporting.reader import Reader
from connectfour.experiments.reporting.rows import AverageRow, EvalRow, MatchRow, PairRow, TrainRow
from connectfour.experiments.schema import EVALUATED, ExperimentSettings
from connectfour.settings.reading import flat
from connectfour.standings.table import LeaderboardRow, read_leaderboard

AXES = ("minutes", "env_steps")

DONE, FAILED, SKIPPED, NOT_EVALUATED = "done", "failed", "skipped", "not evaluated"
_BEGUN = ".begun.json"
_PARTS_OF_A_RESULT = ("train", "record", "evaluate")


class Machine(BaseModel):
    """What a step ran on."""

    processor: str = "unknown processor"
    cores: int | None = None
    bfloat16: bool | None = None
    python: str = "unknown"
    ray: str = "unknown"
    torch: str = "unknown"


class Receipt(BaseModel):
    """What a step that is done did."""

    command: tuple[str, ...]
    version: str = "unknown"
    machine: Machine = Machine()
    began: datetime
    ended: datetime
    seconds: float
    attempts: int = 1


class StepOutcome(BaseModel):
    """How a step ended."""

    state: str
    reason: str = ""
    command: tuple[str, ...] = ()


class Outcome(BaseModel):
    """How all steps but the report ended."""

    command: str | tuple[str, ...] = ""
    steps: dict[str, StepOutcome] = {}


@dataclass(frozen=True)
class Step:
    """A step of the experiment.

    Attributes:
        name: such as ``train-ppo-0``.
        state: done, failed, skipped or not evaluated.
        reason: why it is not done.
        command: what it ran, or would have run.
        receipt: None if it is not done.
    """

    name: str
    state: str
    reason: str
    command: tuple[str, ...]
    receipt: Receipt | None


@dataclass(frozen=True)
class Run:
    """What is known of one run.

    Attributes:
        variant, seed: its name.
        folder: its results.
        train: its last iteration.
        grades: by metric, the value of the last policy that was evaluated.
        matches: its example games.
        games: the films of these.
        state: done if it was evaluated; else failed, skipped, not evaluated, or "without results".
        reason: why it was not evaluated.
    """

    variant: str
    seed: int
    folder: ResultFolder
    train: TrainRow | None
    grades: Mapping[str, EvalRow]
    matches: Sequence[MatchRow]
    games: Sequence[Path]
    state: str
    reason: str

    @property
    def name(self) -> str:
        """Its name, as in the names of its steps."""
        return f"{self.variant}-{self.seed}"


@dataclass(frozen=True)
class Findings:
    """An experiment and what came of it.

    Attributes:
        folder: where it is.
        reader: reads more of it, and knows what was damaged.
        name: the experiment's name.
        settings: None if ``experiment.yaml`` is missing or damaged.
        variants: by name, the settings in which a variant differs.
        full: by name, all settings of a variant's runs, by dotted name.
        runs: the runs, by variant and seed.
        averages, pairs: statistics over the runs.
        command: what reproduces the experiment; empty if unknown.
        steps: all steps but the report, in the order in which they were planned.
        league: the league table.
    """

    folder: ExperimentFolder
    reader: Reader
    name: str
    settings: ExperimentSettings | None
    variants: Mapping[str, Mapping[str, Any]]
    full: Mapping[str, Mapping[str, Any]]
    runs: Sequence[Run]
    averages: Sequence[AverageRow]
    pairs: Sequence[PairRow]
    command: str | tuple[str, ...]
    steps: Sequence[Step]
    league: Sequence[LeaderboardRow]

    @property
    def question(self) -> str:
        """What the experiment is to find out."""
        return self.settings.question if self.settings else f"Experiment {self.name}"

    @property
    def primary(self) -> str:
        """The metric that decides."""
        return self.settings.evaluation.metric if self.settings else EVALUATED[0]

    @property
    def metrics(self) -> list[str]:
        """The metrics with averages: the one that decides, others that compare runs, those of training."""
        found = list(dict.fromkeys(row.metric for row in self.averages))
        return sorted(
            found, key=lambda metric: (metric != self.primary, not compares_runs(metric), found.index(metric))
        )

    def at_the_end(self, metric: str, axis: str) -> list[AverageRow]:
        """Return each variant at the last point that is common to all with values, in the experiment's order."""
        rows = [row for row in self.averages if (row.metric, row.axis) == (metric, axis)]
        points = [{row.at for row in rows if row.variant == variant} for variant in {row.variant for row in rows}]
        common = {row.at for row in self.pairs_at_the_end(metric, axis)} or (
            set.intersection(*points) if points else ()
        )
        last = [row for row in rows if common and row.at == max(common)]
        order = list(self.variants)
        return sorted(last, key=lambda row: order.index(row.variant) if row.variant in order else len(order))

    def pairs_at_the_end(self, metric: str, axis: str) -> list[PairRow]:
        """Return the pairs of variants at the last point at which they were compared."""
        rows = [row for row in self.pairs if (row.metric, row.axis) == (metric, axis)]
        last = max((row.at for row in rows), default=math.nan)
        return [row for row in rows if row.at == last]

    @property
    def fates(self) -> Counter[str]:
        """Number of runs by state."""
        return Counter(run.state for run in self.runs)

    @property
    def receipts(self) -> list[Receipt]:
        """Receipts of the steps that are done."""
        return [step.receipt for step in self.steps if step.receipt]


def compares_runs(metric: str) -> bool:
    """Return whether a metric has the same meaning in all runs."""
    return metric in EVALUATED or metric.startswith("score:")


def find(path: Path) -> Findings:
    """Read an experiment's folder, in whatever state it is."""
    folder, reader = ExperimentFolder(path), Reader(path)
    values = reader.values(folder.settings)
    settings = None if values is None else _settings(values, folder.settings, reader)
    name = str((values or {}).get("name", path.resolve().name))
    variants = settings.variants if settings else {file.stem: {} for file in sorted(path.glob("variants/*.yaml"))}
    full = {each: dict(flat(reader.values(folder.variant(each)) or {})) for each in variants}
    outcome = reader.json(folder.outcome, Outcome) or Outcome()
    steps = _steps(folder, outcome, reader)
    states = {step.name: step for step in steps}
    return Findings(
        folder=folder,
        reader=reader,
        name=name,
        settings=settings,
        variants=variants,
        full=full,
        runs=[
            _run(folder, *each, states, reader, has_games=settings is None or settings.examples.games > 0)
            for each in _names_of_runs(path, settings)
        ],
        averages=reader.rows(folder.average, AverageRow),
        pairs=reader.rows(folder.improvement, PairRow),
        command=outcome.command,
        steps=steps,
        league=_league(folder, reader) if settings is None or settings.league.games else [],
    )


def _settings(values: Mapping[str, Any], file: Path, reader: Reader) -> ExperimentSettings | None:
    try:
        return ExperimentSettings.model_validate({key: value for key, value in values.items() if key != "name"})
    except ValidationError as error:
        fault = error.errors()[0]
        reader.say(file, f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}")
        return None


def _names_of_runs(path: Path, settings: ExperimentSettings | None) -> list[tuple[str, int]]:
    if settings:
        seeds = range(settings.first_seed, settings.first_seed + settings.runs)
        return [(variant, seed) for variant in settings.variants for seed in seeds]
    names = [folder.name.rpartition("-") for folder in path.glob("results/*-*")]
    return sorted((variant, int(seed)) for variant, _, seed in names if seed.isdecimal())


def _steps(folder: ExperimentFolder, outcome: Outcome, reader: Reader) -> list[Step]:
    """Return the steps of the outcome, or without one those with a receipt; the report is not one of them."""
    done = {file.stem for file in folder.steps.glob("*.json") if not file.name.endswith(_BEGUN)}
    names = list(outcome.steps) or sorted(done)
    steps = []
    for name in names:
        if name == "report":
            continue
        receipt = reader.json(folder.receipt(name), Receipt)
        ended = outcome.steps.get(name, StepOutcome(state=DONE))
        command = ended.command or ((PROGRAM, *receipt.command) if receipt else ())
        steps.append(Step(name, ended.state, ended.reason, command, receipt if ended.state == DONE else None))
    return steps


def _run(
    folder: ExperimentFolder, variant: str, seed: int, steps: Mapping[str, Step], reader: Reader, *, has_games: bool
) -> Run:
    results = folder.results(variant, seed)
    last: dict[str, EvalRow] = {}
    for row in sorted(reader.rows(results.eval, EvalRow), key=lambda row: row.env_steps):
        last[row.metric] = row
    parts = [steps[name] for part in _PARTS_OF_A_RESULT if (name := f"{part}-{variant}-{seed}") in steps]
    broken = next((step for step in parts if step.state != DONE), None)
    if broken:
        state, reason = broken.state, broken.reason
    else:
        state, reason = (DONE, "") if last else ("without results", "")
    return Run(
        variant=variant,
        seed=seed,
        folder=results,
        train=next(iter(reader.rows(results.train, TrainRow, only_last=True)), None),
        grades=last,
        matches=reader.rows(results.match, MatchRow) if has_games else [],
        games=sorted(results.games.glob("*.gif"), key=_number_of_film) if has_games else [],
        state=state,
        reason=reason,
    )


def _number_of_film(file: Path) -> tuple[int, str]:
    number = file.name.partition("-")[0]
    return int(number) if number.isdecimal() else 0, file.name


def _league(folder: ExperimentFolder, reader: Reader) -> list[LeaderboardRow]:
    try:
        return read_leaderboard(folder.league.path)
    except (ConnectFourError, OSError) as error:
        reader.say(folder.league.leaderboard, error)
        return []
