"""PPO against Ape-X at equal wall time: ``python -m benchmarks.learners --output runs/learners``.

Trains both with several seeds, one run after the other, grades every policy on the ``test`` half of the solved
positions, prints a table, and draws the grades during training (``dev`` half) as ``benchmarks/learners.png``. Runs that
are already in the output folder are not repeated.
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter
from rich.console import Console
from rich.table import Table

import connectfour as cf

CONFIG = Path(__file__).parent.parent / "configs" / "quick.yaml"
PICTURE = Path(__file__).parent / "learners.png"
RESULTS = Path(__file__).parent / "learners.json"
LEARNERS = {"ppo": "#0072b2", "apex": "#d55e00"}
NAMES = {"ppo": "PPO", "apex": "Ape-X"}


def run(folder: Path, learner: str, seed: int, overrides: list[str]) -> dict[str, float]:
    """Train one run unless it is there already, and return its figures."""
    path = folder / f"{learner}-{seed}"
    if not (path / "learning.png").is_file():
        cf.train(cf.load_settings(CONFIG, [f"algorithm={learner}", f"seed={seed}", *overrides]), path)
    graded = cf.grade(cf.parse_player(f"snapshot:{path}/main", greedy=True)).overall
    last = curve(path)[-1]
    return {
        "seed": seed,
        "minutes": last[0],
        "env_steps": last[2],
        "value_preserving": graded.value_preserving_share,
        "optimal": graded.optimal_share,
    }


def curve(path: Path) -> list[tuple[float, float, float]]:
    """Return the new grades of a run as (minutes, grade, env steps), and its last row."""
    with (path / "progress.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    points = [(float(row["minutes"]), float(row["value_preserving"]), float(row["env_steps"])) for row in rows]
    return [
        point for before, point in zip([None, *points], points, strict=False) if not before or point[1] != before[1]
    ] + [points[-1]]


def draw(folder: Path, seeds: range) -> None:
    """Draw mean and range over the seeds, by minutes and by env steps."""
    figure = Figure(figsize=(11, 4), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    for learner, color in LEARNERS.items():
        curves = [np.array(curve(folder / f"{learner}-{seed}")) for seed in seeds]
        for axis, column in zip(axes, (0, 2), strict=True):
            over = np.linspace(0, min(each[-1, column] for each in curves), 200)
            grades = np.array([np.interp(over, each[:, column], each[:, 1]) for each in curves])
            axis.plot(over, grades.mean(axis=0), color=color, label=f"{NAMES[learner]}, mean of {len(seeds)} seeds")
            axis.fill_between(over, grades.min(axis=0), grades.max(axis=0), color=color, alpha=0.2, linewidth=0)
            axis.grid(alpha=0.3)
    axes[0].set(xlabel="minutes", ylabel="moves that keep the result\n(solved positions, dev)", ylim=(0.6, None))
    axes[1].set(xlabel="env steps")
    axes[1].xaxis.set_major_formatter(EngFormatter(sep=""))
    axes[0].legend(loc="lower right")
    figure.savefig(PICTURE, dpi=110)


def main() -> None:
    """Train, grade, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds")
    parser.add_argument("--output", type=Path, default=Path("runs/learners"), help="folder of the runs")
    parser.add_argument("-p", metavar="KEY=VALUE", action="append", default=[], help="override a setting of both")
    options = parser.parse_args()

    seeds = range(options.seeds)
    found = {learner: [run(options.output, learner, seed, options.p) for seed in seeds] for learner in LEARNERS}
    table = Table("learner", "seed", "minutes", "env steps", "value-preserving (test)", "optimal (test)")
    for learner, rows in found.items():
        for row in rows:
            table.add_row(
                learner,
                f"{row['seed']}",
                f"{row['minutes']:.1f}",
                f"{row['env_steps']:,.0f}",
                f"{row['value_preserving']:.3f}",
                f"{row['optimal']:.3f}",
            )
        mean = np.mean([[row["value_preserving"], row["optimal"]] for row in rows], axis=0)
        table.add_row(learner, "mean", "", "", f"{mean[0]:.3f}", f"{mean[1]:.3f}", end_section=True)
    Console().print(table)
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")
    draw(options.output, seeds)


if __name__ == "__main__":
    main()
