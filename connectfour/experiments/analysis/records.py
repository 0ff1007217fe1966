"""``train.csv``: how a run trained, labelled with its variant and seed; and whether it is to be evaluated."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from connectfour.errors import ExperimentError
from connectfour.experiments.condition import Condition
from connectfour.experiments.metrics import train_column, training_metrics
from connectfour.runs.folder import RunFolder
from connectfour.runs.progress import number_in, read_rows
from connectfour.system.files import write_atomically


def record_run(run: RunFolder, variant: str, output: Path) -> None:
    """Write ``train.csv`` of a run.

    Raises:
        RunFolderError: the folder holds no run.
        ExperimentError: its progress cannot be read.
    """
    labels = labels_of(run, variant)
    rows = [{train_column(name): value for name, value in row.items()} for row in read_progress(run)]
    write_table(output, [*labels, *rows[0]], ({**labels, **row} for row in rows))


def decide(run: RunFolder, condition: Condition) -> bool:
    """Return whether the last iteration of a run meets a condition.

    Raises:
        ConfigError: the condition names a metric that the run does not report.
        RunFolderError, ExperimentError: as ``record_run``.
    """
    known = training_metrics(run.read_settings([]))
    condition.check(known)
    last = {train_column(name): value for name, value in read_progress(run)[-1].items()}
    return condition.holds({name: number_in(last, name) for name in known})


def labels_of(run: RunFolder, variant: str) -> dict[str, Any]:
    """Return the columns with which every table about a run begins.

    Raises:
        RunFolderError: the folder holds no run.
    """
    settings = run.read_settings([])
    return {"game": str(settings.game), "variant": variant, "seed": settings.seed}


def read_progress(run: RunFolder) -> list[dict[str, str]]:
    """Return the iterations of a run, as text by column; there is at least one.

    Raises:
        RunFolderError: ``progress.csv`` is damaged.
        ExperimentError: it holds no iterations.
    """
    rows = read_rows(run.progress)
    if not rows:
        raise ExperimentError(f"{run.progress} holds no iterations: train {run.path} again")
    return rows


def write_table(output: Path, columns: Iterable[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a CSV file atomically; its folder is created."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    output.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(output, text.getvalue().encode())
