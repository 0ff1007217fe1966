"""Commands for experiments: parsing, wiring, printing."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from connectfour.cli.training import DashboardOption
from connectfour.errors import INTERRUPTED, ExperimentError
from connectfour.system.observer import ConsoleObserver, plain_console

app = typer.Typer(
    name="experiment",
    help="Many seeded runs, with statistics over them and a report.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

FileArgument = Annotated[Path, typer.Argument(help="Experiment file, such as configs/experiments/quick.yaml.")]
OverrideOption = Annotated[
    list[str] | None,
    typer.Option(
        "-p",
        metavar="KEY=VALUE",
        help="Override a key of the file, such as runs=5, or a setting of all runs, such as train.stop.minutes=10; may "
        "be repeated.",
    ),
]
NameOption = Annotated[str | None, typer.Option(help="Name of the experiment; by default, that of the file.")]
OutputOption = Annotated[Path | None, typer.Option(help="The experiment's folder.", show_default="runs/NAME")]
DirArgument = Annotated[Path, typer.Argument(help="Folder of the experiment.")]
VariantsOption = Annotated[list[str], typer.Option("--variant", help="Name of a variant; may be repeated.")]
RunsOption = Annotated[int, typer.Option(min=1, help="Number of runs per variant.")]
FirstSeedOption = Annotated[int, typer.Option(min=0, help="Seed of each variant's first run.")]
ConditionOption = Annotated[
    str | None, typer.Option(help="Condition on a run's last iteration, such as 'win_rate > 0.7'.")
]


@app.command()
def run(
    file: FileArgument,
    name: NameOption = None,
    output: OutputOption = None,
    override: OverrideOption = None,
    address: Annotated[
        str | None, typer.Option(help="Ray cluster to run on, as for ray.init (auto: the one on this machine).")
    ] = None,
    dashboard: DashboardOption = False,
) -> None:
    """Train all runs, evaluate them, draw example games and plots, and write a report; run it again to go on.

    Only what is missing or has changed is done. The exit code says whether steps failed.
    """
    from connectfour.experiments.reading import read_experiment

    experiment = read_experiment(file, override or [], name)
    from connectfour.experiments.experiment import run_experiment

    folder = output or Path("runs") / experiment.name
    command = shlex.join(["connectfour", *sys.argv[1:]])
    result = run_experiment(experiment, folder, address=address, dashboard=dashboard, command=command)
    console = plain_console()
    if result.interrupted:
        console.print(f"Stopped; go on with: {command}", soft_wrap=True, highlight=False)
        raise typer.Exit(INTERRUPTED)
    console.print(f"Report: {result.folder.report}", soft_wrap=True, highlight=False)


@app.command()
def graph(
    file: FileArgument,
    name: NameOption = None,
    output: OutputOption = None,
    override: OverrideOption = None,
    picture: Annotated[Path, typer.Option(help="SVG file to draw.")] = Path("graph.svg"),
) -> None:
    """Print the steps of an experiment, each with its command and those it waits for, and draw them."""
    from connectfour.experiments.execution.picture import draw_graph
    from connectfour.experiments.execution.steps import build_graph
    from connectfour.experiments.layout import ExperimentFolder
    from connectfour.experiments.reading import read_experiment
    from connectfour.system.files import write_atomically
    from connectfour.system.outputs import check_output

    check_output(picture, ".svg")
    experiment = read_experiment(file, override or [], name)
    steps = build_graph(experiment, ExperimentFolder(output or Path("runs") / experiment.name))
    for step in steps.steps.values():
        before = steps.predecessors[step.name]
        after = "when all others have ended" if step.is_last else f"after {', '.join(before)}" if before else "at once"
        demand = ", ".join(_demands(step.demand.model_dump()))
        typer.echo(f"{step.name} ({after}; {demand})\n    {shlex.join(['connectfour', *step.command])}")
    write_atomically(picture, draw_graph(steps.predecessors).encode())
    typer.echo(f"{len(steps.steps)} steps, drawn in {picture}")


def _demands(demand: dict[str, object]) -> list[str]:
    found = [f"{demand['num_cpus'] or 1:g} CPU", *([f"{demand['num_gpus']:g} GPU"] if demand["num_gpus"] else [])]
    tags = demand["tags"]
    return [*found, *(f"{amount:g} {tag}" for tag, amount in tags.items())] if isinstance(tags, dict) else found


@app.command()
def argo(file: FileArgument, name: NameOption = None, override: OverrideOption = None) -> None:
    """Print an Argo Workflow that runs an experiment on Kubernetes: argo submit it."""
    from connectfour.experiments.reading import read_experiment

    try:
        from connectfour.experiments.argo import build_workflow
    except ModuleNotFoundError as error:
        if error.name not in {"hera", "hera.workflows"}:
            raise
        raise ExperimentError("experiment argo needs hera: pip install 'connectfour-league[argo]'") from None
    typer.echo(build_workflow(read_experiment(file, override or [], name)), nl=False)


@app.command()
def prepare(
    file: FileArgument,
    folder: DirArgument,
    override: Annotated[
        list[str] | None,
        typer.Option("-p", metavar="KEY=VALUE", help="As for run; without a value, the key stays as it is."),
    ] = None,
) -> None:
    """Write into a folder what the steps of an experiment read, so that "step" can carry them out."""
    from connectfour.experiments.layout import ExperimentFolder
    from connectfour.experiments.preparing import check_folder, locked_folder
    from connectfour.experiments.preparing import prepare as write_settings
    from connectfour.experiments.reading import read_experiment

    given = [each for each in override or [] if not each.endswith("=")]
    experiment, here = read_experiment(file, given), ExperimentFolder(folder)
    check_folder(here, experiment)
    with locked_folder(here):
        check_folder(here, experiment)
        steps = write_settings(experiment, here).steps
    typer.echo(f"{experiment.name}: {len(steps)} steps in {folder}")


@app.command()
def step(
    folder: Annotated[Path, typer.Argument(help="Folder of the experiment, which has been prepared.")],
    name: Annotated[str, typer.Argument(metavar="STEP", help='Name of the step; "graph" lists them.')],
    command: Annotated[str, typer.Option(help="How the experiment was started; for the report.")] = "",
) -> None:
    """Carry out one step of an experiment unless it is up to date. For schedulers; "run" carries out all of them.

    It prints the step's log, and ends with its exit code.
    """
    import signal

    from connectfour.experiments.execution.performing import StepFailedError
    from connectfour.experiments.execution.single import run_step
    from connectfour.experiments.layout import ExperimentFolder
    from connectfour.system.following import following

    # The step's command then stops at a point to resume from.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with following(ExperimentFolder(folder).log(name), lambda text: typer.echo(text, nl=False)):
            ending = run_step(folder, name, command)
    except StepFailedError as error:
        typer.echo(f"connectfour: {name} failed: {error}", err=True)
        raise typer.Exit(error.exit_code) from None
    finally:
        signal.signal(signal.SIGTERM, before)
    typer.echo(f"{name}: {ending.state}{f': {ending.reason}' if ending.reason else ''}")


@app.command()
def settings() -> None:
    """List every key of an experiment file with its meaning."""
    from connectfour.experiments.schema import ExperimentSettings
    from connectfour.settings.describing import describe

    table = Table("key", "meaning", box=None)
    for key, description in describe(ExperimentSettings):
        table.add_row(key, description)
    plain_console().print(table)


@app.command()
def record(
    run: Annotated[Path, typer.Argument(help="Folder of the run.")],
    output: Annotated[Path, typer.Option(help="CSV file to write.")],
    variant: Annotated[str, typer.Option(help="Name of the run's variant in the table.")],
    evaluate_if: ConditionOption = None,
    verdict: Annotated[Path | None, typer.Option(help="File that gets yes or no: whether the condition holds.")] = None,
) -> None:
    """Write how a run trained as train.csv, and whether it is to be evaluated. A step of an experiment."""
    from connectfour.experiments.analysis.records import decide, record_run
    from connectfour.experiments.condition import Condition
    from connectfour.runs.folder import RunFolder
    from connectfour.system.files import write_atomically

    folder = RunFolder(run)
    condition = Condition(evaluate_if) if evaluate_if else None
    record_run(folder, variant, output)
    observer = ConsoleObserver()
    observer.say(f"{output}: {run} as {variant}")
    wanted = decide(folder, condition) if condition else True
    if verdict:
        write_atomically(verdict, b"yes\n" if wanted else b"no\n")
    if condition:
        observer.say(f"{evaluate_if} {'holds' if wanted else 'does not hold: the run is not evaluated'}")


@app.command()
def average(
    folder: DirArgument,
    variant: VariantsOption,
    runs: RunsOption,
    first_seed: FirstSeedOption = 0,
    metric: Annotated[str, typer.Option(help="What decides between variants.")] = "value_preserving",
    plot: Annotated[list[str] | None, typer.Option("--plot", help="Metric to plot; may be repeated.")] = None,
    evaluate_if: ConditionOption = None,
) -> None:
    """Write average.csv, probability_of_improvement.csv and plots over all runs. A step of an experiment."""
    from connectfour.experiments.analysis.averages import write_averages

    seeds = range(first_seed, first_seed + runs)
    written = write_averages(folder, variant, seeds, primary=metric, plots=plot or [], condition=evaluate_if)
    observer = ConsoleObserver()
    for path in written.paths:
        observer.say(f"{path}")
    for name, reason in written.missing.items():
        observer.say(f"{name} is left out: {reason}")


@app.command()
def league(
    folder: DirArgument,
    variant: VariantsOption,
    runs: RunsOption,
    first_seed: FirstSeedOption = 0,
    games: Annotated[int, typer.Option(min=1, help="Games per player.")] = 100,
) -> None:
    """Rank the best member of each evaluated run against the others. A step of an experiment."""
    from connectfour.cli.ranking_output import print_ranking
    from connectfour.experiments.analysis.league import rank_best
    from connectfour.experiments.layout import ExperimentFolder

    ranking = rank_best(ExperimentFolder(folder), variant, range(first_seed, first_seed + runs), games)
    print_ranking(ranking)
    if ranking.interrupted:
        raise typer.Exit(INTERRUPTED)


@app.command()
def report(folder: DirArgument) -> None:
    """Write report.html of an experiment, however far it is. A step of an experiment."""
    from connectfour.experiments.reporting.report import write_report

    ConsoleObserver().say(f"{write_report(folder)}")


def evaluate(
    run: Annotated[Path, typer.Argument(help="Folder of the run.")],
    output: Annotated[Path, typer.Option(help="CSV file to write.")] = Path("eval.csv"),
    positions: Annotated[
        str, typer.Option(help="test or dev, the packaged halves, or a CSV file of moves and a score per action.")
    ] = "test",
    opponent: Annotated[
        list[str] | None,
        typer.Option(
            "--opponent",
            help="Player to meet; may be repeated.",
            show_default="minimax:2 and minimax:4 in Connect Four",
        ),
    ] = None,
    games: Annotated[int, typer.Option(min=2, help="Games against each of them.")] = 100,
    opening_plies: Annotated[
        int | None,
        typer.Option(
            min=0, max=30, help="Random plies before each game.", show_default="the game's, 4 in Connect Four"
        ),
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="PNG file to draw.")] = None,
    variant: Annotated[
        str | None, typer.Option(help="Name of the run in the table.", show_default="that of its folder")
    ] = None,
) -> None:
    """Grade main over the course of a run, and play it against a ladder of opponents.

    A run keeps main's policies for this with -p checkpoint.history=10; without them, only its last one is evaluated.
    """
    from connectfour.experiments.analysis.evaluation import evaluate_run
    from connectfour.experiments.schema import EvaluationSettings, ladder_of
    from connectfour.runs.folder import RunFolder
    from connectfour.system.outputs import check_output

    if output.parent.exists():
        check_output(output, ".csv")
    if plot:
        check_output(plot, ".png")
    rules = RunFolder(run).read_settings([]).game.rules
    ladder = tuple(opponent) if opponent else ladder_of(rules)
    plies = rules.opening_plies if opening_plies is None else opening_plies
    wanted = EvaluationSettings(positions=positions, games=games, opening_plies=plies, opponents=ladder)
    rows = evaluate_run(RunFolder(run), output, wanted, variant or run.resolve().name, picture=plot)
    table = Table(
        title=f"{run}: main on {positions}", caption="95 % intervals over positions and games, not over seeds"
    )
    for column in ("iteration", "env steps", "minutes", "metric", "value", "95 %"):
        table.add_column(column, justify="left" if column == "metric" else "right", no_wrap=True)
    for row in rows:
        cells = (str(row["iteration"]), f"{row['env_steps']:,}", f"{row['minutes']:.1f}", row["metric"])
        table.add_row(*cells, f"{row['value']:.3f}", f"{row['low95']:.3f} to {row['high95']:.3f}")
    plain_console().print(table)
