"""Which steps an experiment has: for each run train → record → evaluate and example games, then over all runs."""

from __future__ import annotations

from collections.abc import Iterator

from connectfour.experiments.graph import Graph, Step
from connectfour.experiments.layout import ExperimentFolder
from connectfour.experiments.reading import Experiment, Variant
from connectfour.league.members import MAIN
from connectfour.settings.schema import RunSettings

_SECONDS_TO_START = 8.0
_ENV_STEPS_PER_SECOND = 15_000
"""What a run limited by env steps is assumed to do on one machine, until one has shown its speed."""


def build_graph(experiment: Experiment, folder: ExperimentFolder) -> Graph:
    """Return the steps of an experiment in ``folder``."""
    return Graph(_Builder(experiment, folder).steps())


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
                yield from self._of_run(variant, seed)
        yield self._average()
        if self._settings.league.games:
            yield self._league()
        yield self._report()

    def _of_run(self, variant: Variant, seed: int) -> Iterator[Step]:
        resources, here = self._settings.resources, self._here
        name, settings = f"{variant.name}-{seed}", variant.settings
        run, results = here.run(variant.name, seed), here.results(variant.name, seed)
        trained = (str(run.progress), str(run.manifest), str(run.config))
        file = str(here.variant(variant.name))
        demand = resources.train.model_copy(update={"num_cpus": resources.train.num_cpus or settings.cores})
        yield Step(
            name=f"train-{name}",
            command=("train", "--continue", "--config", file, "--run-dir", str(run.path), "-p", f"seed={seed}"),
            inputs=(file,),
            outputs=trained,
            demand=demand,
            joins_ray=resources.ray == "shared",
            seed=seed,
            resumes=True,
            folder=str(run.path),
            seconds=_training_seconds(settings),
        )
        condition = self._settings.evaluate_if
        asked = ("--evaluate-if", condition, "--verdict", str(results.verdict)) if condition else ()
        identity = ("--variant", variant.name)
        yield Step(
            name=f"record-{name}",
            command=("experiment", "record", str(run.path), "--output", str(results.train), *identity, *asked),
            inputs=trained,
            outputs=(str(results.train), *([str(results.verdict)] if condition else [])),
            demand=resources.evaluate,
            seed=seed,
            seconds=3.0,
        )
        verdict = str(results.verdict) if condition else None
        yield self._evaluate(
            name, str(run.path), trained, (results.eval, results.eval_picture), verdict, identity, seed
        )
        if self._settings.examples.games:
            yield self._games(name, str(run.path), trained, (results.games, results.match), verdict, seed)

    def _evaluate(
        self,
        name: str,
        run: str,
        trained: tuple[str, ...],
        outputs: tuple[object, object],
        verdict: str | None,
        identity: tuple[str, ...],
        seed: int,
    ) -> Step:
        evaluation, (output, picture) = self._settings.evaluation, outputs
        opponents = [part for opponent in evaluation.opponents for part in ("--opponent", opponent)]
        return Step(
            name=f"evaluate-{name}",
            command=(
                *("evaluate", run, "--output", str(output), *identity, "--positions", evaluation.positions),
                *opponents,
                *("--games", str(evaluation.games), "--opening-plies", str(evaluation.opening_plies)),
                *("--plot", str(picture)),
            ),
            inputs=trained,
            outputs=(str(output), str(picture)),
            condition=verdict,
            why=self._settings.evaluate_if or "",
            demand=self._settings.resources.evaluate,
            seed=seed,
            seconds=6 + evaluation.points * (0.5 + len(evaluation.opponents) * evaluation.games / 200),
        )

    def _games(
        self,
        name: str,
        run: str,
        trained: tuple[str, ...],
        outputs: tuple[object, ...],
        verdict: str | None,
        seed: int,
    ) -> Step:
        examples = self._settings.examples
        films, table = map(str, outputs)
        return Step(
            name=f"games-{name}",
            command=(
                *("match", f"snapshot:{run}/{MAIN}", examples.opponent, "--greedy", "--seed", str(seed)),
                *("--games", str(examples.games), "--film-count", str(examples.games)),
                *("--films", films, "--output", table),
            ),
            inputs=trained,
            outputs=(films, table),
            condition=verdict,
            why=self._settings.evaluate_if or "",
            demand=self._settings.resources.evaluate,
            seed=seed,
            seconds=6.0,
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
            demand=demand.model_copy(update={"num_cpus": demand.num_cpus or most}),
            joins_ray=settings.resources.ray == "shared",
            resumes=True,
            seconds=_SECONDS_TO_START + (runs + 4) * games / 60,
        )

    def _report(self) -> Step:
        here = self._here
        games = self._results("games") if self._settings.examples.games else ()
        tables = (here.average, here.improvement, here.plots, here.league.leaderboard, here.graph)
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


def _training_seconds(settings: RunSettings) -> float | None:
    """Return how long a run will take, roughly."""
    stop = settings.stop
    limits = [60 * stop.minutes] if stop.minutes else []
    if stop.env_steps:
        limits.append(stop.env_steps / _ENV_STEPS_PER_SECOND)
    return _SECONDS_TO_START + min(limits) if limits else None
