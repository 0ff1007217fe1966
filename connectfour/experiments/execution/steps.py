"""Which steps an experiment has: for each run train → record → evaluate and example games, then over all runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from connectfour.experiments.execution.graph import Graph, Step
from connectfour.experiments.layout import ExperimentFolder, ResultFolder
from connectfour.experiments.reading import Experiment, Variant
from connectfour.league.members import MAIN
from connectfour.runs.folder import RunFolder
from connectfour.settings.resources import Demand
from connectfour.settings.schema import RunSettings
from connectfour.system.sealed import INDEX

_SECONDS_TO_START = 25.0
_ENV_STEPS_PER_SECOND = 15_000
"""What a run limited by env steps is assumed to do on one machine, until one has shown its speed."""


def build_graph(experiment: Experiment, folder: ExperimentFolder) -> Graph:
    """Return the steps of an experiment in ``folder``."""
    game = experiment.settings.game.name
    return Graph((replace(step, game=game) for step in _Builder(experiment, folder).steps()), game)


@dataclass(frozen=True)
class _Run:
    """A run, and where its files are in the experiment's folder."""

    variant: Variant
    seed: int
    folder: RunFolder
    results: ResultFolder

    @property
    def name(self) -> str:
        """Its name in the experiment."""
        return f"{self.variant.name}-{self.seed}"

    @property
    def trained(self) -> tuple[str, ...]:
        """What training leaves."""
        return str(self.folder.progress), str(self.folder.manifest), str(self.folder.config)


class _Builder:
    """Describes the steps; paths are relative to the experiment's folder."""

    def __init__(self, experiment: Experiment, folder: ExperimentFolder) -> None:
        self._experiment, self._settings = experiment, experiment.settings
        self._here = ExperimentFolder(folder.path.relative_to(folder.path))

    def steps(self) -> Iterator[Step]:
        """Yield all steps."""
        # By seed first: if the machine's speed changes over the day, it does so for all variants.
        for seed in self._experiment.seeds:
            for variant in self._experiment.variants:
                folders = self._here.run(variant.name, seed), self._here.results(variant.name, seed)
                yield from self._of_run(_Run(variant, seed, *folders))
        yield self._average()
        if self._settings.league.games:
            yield self._league()
        yield self._report()

    def _of_run(self, run: _Run) -> Iterator[Step]:
        yield self._train(run)
        yield self._record(run)
        yield self._evaluate(run)
        if self._settings.examples.games:
            yield self._games(run)

    def _train(self, run: _Run) -> Step:
        resources, settings = self._settings.resources, run.variant.settings
        config, folder = str(self._here.variant(run.variant.name)), str(run.folder.path)
        own = {"num_cpus": settings.cores, "num_gpus": settings.gpus}
        return Step(
            name=f"train-{run.name}",
            command=("train", "--continue", "--config", config, "--run-dir", folder, "-p", f"seed={run.seed}"),
            inputs=(config,),
            outputs=run.trained,
            demand=_filled(resources.train, own),
            ray=resources.ray,
            variant=run.variant.name,
            seed=run.seed,
            resumes=True,
            folder=folder,
            seconds=_training_seconds(settings),
        )

    def _record(self, run: _Run) -> Step:
        table, verdict, condition = str(run.results.train), str(run.results.verdict), self._settings.evaluate_if
        return Step(
            name=f"record-{run.name}",
            command=(
                *("experiment", "record", str(run.folder.path), "--output", table, "--variant", run.variant.name),
                *("--verdict", verdict),
                *(("--evaluate-if", condition) if condition else ()),
            ),
            inputs=run.trained,
            outputs=(table, verdict),
            demand=self._settings.resources.evaluate,
            variant=run.variant.name,
            seed=run.seed,
            seconds=3.0,
        )

    def _evaluate(self, run: _Run) -> Step:
        evaluation, table, picture = self._settings.evaluation, str(run.results.eval), str(run.results.eval_picture)
        opponents = [part for opponent in evaluation.opponents for part in ("--opponent", opponent)]
        return self._of_evaluation(
            run,
            "evaluate",
            (
                *("evaluate", str(run.folder.path), "--output", table, "--plot", picture),
                *("--variant", run.variant.name, "--positions", evaluation.positions),
                *opponents,
                *("--games", str(evaluation.games), "--opening-plies", str(evaluation.opening_plies)),
            ),
            (table, picture),
            (*_files_of(*evaluation.opponents), *([evaluation.positions] if "." in evaluation.positions else [])),
            seconds=6 + evaluation.points * (0.5 + len(evaluation.opponents) * evaluation.games / 200),
        )

    def _games(self, run: _Run) -> Step:
        examples, films, table = self._settings.examples, str(run.results.games), str(run.results.match)
        return self._of_evaluation(
            run,
            "games",
            (
                *("match", f"snapshot:{run.folder.path}/{MAIN}", examples.opponent, "--greedy"),
                *("--seed", str(run.seed), "--games", str(examples.games), "--film-count", str(examples.games)),
                *("--films", films, "--output", table),
            ),
            (films, table),
            _files_of(examples.opponent),
            seconds=6.0,
        )

    def _of_evaluation(
        self,
        run: _Run,
        kind: str,
        command: tuple[str, ...],
        outputs: tuple[str, ...],
        inputs: tuple[str, ...],
        seconds: float,
    ) -> Step:
        """Return a step that is wanted only if the run meets the experiment's condition; it also reads ``inputs``."""
        condition = self._settings.evaluate_if
        return Step(
            name=f"{kind}-{run.name}",
            command=command,
            inputs=(*run.trained, *inputs),
            outputs=outputs,
            condition=str(run.results.verdict) if condition else None,
            why=condition or "",
            demand=self._settings.resources.evaluate,
            variant=run.variant.name,
            seed=run.seed,
            seconds=seconds,
        )

    @property
    def _all_runs(self) -> tuple[str, ...]:
        """Options that name all runs."""
        variants = [part for variant in self._experiment.variants for part in ("--variant", variant.name)]
        settings = self._settings
        return (*variants, "--runs", str(settings.runs), "--first-seed", str(settings.first_seed))

    def _results(self, *names: str) -> tuple[str, ...]:
        """Return these files of all runs."""
        return tuple(
            str(getattr(self._here.results(variant.name, seed), name))
            for variant in self._experiment.variants
            for seed in self._experiment.seeds
            for name in names
        )

    def _average(self) -> Step:
        settings, here = self._settings, self._here
        plots = [part for plot in settings.plots for part in ("--plot", plot)]
        condition = ("--evaluate-if", settings.evaluate_if) if settings.evaluate_if else ()
        return Step(
            name="average",
            command=(
                *("experiment", "average", ".", *self._all_runs, "--metric", settings.evaluation.metric),
                *plots,
                *condition,
            ),
            sources=self._results("train", "eval"),
            outputs=(str(here.average), str(here.improvement), str(here.plots)),
            demand=settings.resources.evaluate,
            seconds=8.0,
        )

    def _league(self) -> Step:
        settings, here = self._settings, self._here
        runs = len(self._experiment.variants) * settings.runs
        demand = settings.resources.league
        most = max((variant.settings.cores for variant in self._experiment.variants), default=1)
        games = settings.league.games
        return Step(
            name="league",
            command=("experiment", "league", ".", *self._all_runs, "--games", str(games)),
            sources=self._results("eval"),
            outputs=(str(here.league.path),),
            demand=_filled(demand, {"num_cpus": most}),
            ray=settings.resources.ray,
            resumes=True,
            seconds=_SECONDS_TO_START + (runs + 4) * games / 60,
        )

    def _report(self) -> Step:
        here = self._here
        games = self._results("games") if self._settings.examples.games else ()
        tables = [here.average, here.improvement, here.plots, here.graph]
        tables += [here.league.leaderboard] if self._settings.league.games else []
        return Step(
            name="report",
            command=("experiment", "report", "."),
            inputs=(str(here.settings), str(here.outcome)),
            sources=(*self._results("train", "eval"), *games, *map(str, tables)),
            outputs=(str(here.report),),
            demand=self._settings.resources.evaluate,
            is_last=True,
            seconds=5.0,
        )


def _filled(demand: Demand, own: Mapping[str, float]) -> Demand:
    """Return ``demand`` with what it leaves open as the step's command needs it."""
    return demand.model_copy(update={name: getattr(demand, name) or amount for name, amount in own.items()})


def _files_of(*players: str) -> tuple[str, ...]:
    """Return the files that tell whether players are still the same."""
    found = []
    for kind, _, path in (player.partition(":") for player in players):
        if kind == "onnx":
            found.append(path)
        elif kind == "snapshot":
            found.append(str(RunFolder(Path(path).parent).manifest))
        elif kind == "checkpoint":
            found.append(str(Path(path) / INDEX))
    return tuple(found)


def _training_seconds(settings: RunSettings) -> float | None:
    """Return how long a run will take, roughly."""
    stop = settings.stop
    limits = [60 * stop.minutes] if stop.minutes else []
    if stop.env_steps:
        limits.append(stop.env_steps / _ENV_STEPS_PER_SECOND)
    return _SECONDS_TO_START + min(limits) if limits else None
