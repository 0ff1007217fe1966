"""Reads what is known of the runs of an experiment: the curves of their metrics."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from connectfour.errors import ExperimentError
from connectfour.experiments.layout import ExperimentFolder, says_no
from connectfour.games.registry import DEFAULT

Floats = NDArray[np.float64]

Axis = Literal["env_steps", "minutes"]
"""What is compared at equal amounts: env steps, or minutes of training."""

AXES: tuple[Axis, ...] = ("env_steps", "minutes")

_NO_METRICS = ("game", "variant", "seed", "iteration", "frozen")
_OF_EVALUATIONS = (*AXES, "metric", "value")


@dataclass(frozen=True)
class Curve:
    """A metric along one run; all arrays are (points,), finite, and there is at least one point.

    Attributes:
        env_steps: env steps so far; never less than before.
        minutes: minutes of training so far; never less than before.
        values: the metric.
    """

    env_steps: Floats
    minutes: Floats
    values: Floats

    def over(self, axis: Axis) -> Floats:
        """Return the positions of the points on an axis."""
        return self.env_steps if axis == "env_steps" else self.minutes

    def at(self, axis: Axis, places: Floats) -> Floats:
        """Return the metric at ``places`` (n,) on an axis, linearly between its points.

        Where several points share a place, the last one counts. Outside the curve, its first or last value is
        returned: ask only between them.
        """
        over = self.over(axis)
        last = np.append(np.diff(over) > 0, True)
        return np.asarray(np.interp(places, over[last], self.values[last]))


@dataclass(frozen=True)
class RunResults:
    """The curves of one run by metric.

    Attributes:
        variant: the run's variant.
        seed: its seed.
        trained: the numeric columns of ``train.csv``; none without that file.
        evaluated: the metrics of ``eval.csv``; none without that file.
        is_unwanted: whether the run did not meet the condition to be evaluated.
        game: name of its game.
    """

    variant: str
    seed: int
    trained: Mapping[str, Curve]
    evaluated: Mapping[str, Curve]
    is_unwanted: bool = False
    game: str = DEFAULT

    @property
    def name(self) -> str:
        """The run's name in its experiment."""
        return f"{self.variant}-{self.seed}"

    @property
    def missing(self) -> str | None:
        """Why the run does not count, in a few words; None if it has both files."""
        if not self.trained:
            return "no train.csv"
        if self.is_unwanted:
            return "it did not meet the condition"
        return None if self.evaluated else "no eval.csv"

    def curve(self, metric: str) -> Curve | None:
        """Return the curve of a metric; None if the run does not have it."""
        return self.evaluated.get(metric) or self.trained.get(metric)


def read_results(folder: ExperimentFolder, variants: Sequence[str], seeds: Sequence[int]) -> list[RunResults]:
    """Read the results of all runs of an experiment, however far they are.

    Raises:
        ExperimentError: a file is damaged.
    """
    found = []
    for variant in variants:
        for seed in seeds:
            files = folder.results(variant, seed)
            unwanted = says_no(files.verdict)
            trained, game = _read_training(files.train)
            evaluated = {} if unwanted else _read_evaluations(files.eval)
            found.append(RunResults(variant, seed, trained, evaluated, unwanted, game))
    return found


def _read_training(file: Path) -> tuple[dict[str, Curve], str]:
    """Return the curves of a run, and the name of its game."""
    columns = _read_columns(file, AXES)
    numbers = {name: _numbers(file, name, cells) for name, cells in columns.items() if name not in _NO_METRICS}
    return _curves(file, {name: (numbers, values) for name, values in numbers.items()}), columns.get("game", [DEFAULT])[
        0
    ]


def _read_evaluations(file: Path) -> dict[str, Curve]:
    columns = _read_columns(file, _OF_EVALUATIONS)
    if not columns:
        return {}
    numbers = {name: _numbers(file, name, columns[name]) for name in (*AXES, "value")}
    metrics = np.array(columns["metric"])
    parts = {}
    for metric in dict.fromkeys(columns["metric"]):
        part = {name: column[metrics == metric] for name, column in numbers.items()}
        parts[metric] = (part, part["value"])
    return _curves(file, parts)


def _curves(file: Path, metrics: Mapping[str, tuple[Mapping[str, Floats], Floats]]) -> dict[str, Curve]:
    """Return a curve for each metric with a value, from its axes and values; empty cells are no points."""
    found = {}
    for name, (axes, values) in metrics.items():
        there = np.isfinite(values)
        env_steps, minutes = (axes[axis][there] for axis in AXES)
        if not (_is_ordered(env_steps) and _is_ordered(minutes)):
            raise _damaged(file, f"env_steps or minutes of {name} go back or are missing")
        if there.any():
            found[name] = Curve(env_steps, minutes, values[there])
    return found


def _is_ordered(places: Floats) -> bool:
    return bool(np.isfinite(places).all() and (np.diff(places) >= 0).all())


def _read_columns(file: Path, required: Sequence[str]) -> dict[str, list[str]]:
    """Return the cells of a CSV file by column; an empty result if the file is missing or has no rows."""
    try:
        with file.open(newline="", encoding="utf-8") as stream:
            header, *rows = list(csv.reader(stream, strict=True)) or [[]]
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ExperimentError(f"cannot read {file}: {error.strerror}; check it and its permissions") from None
    except (UnicodeDecodeError, csv.Error):
        raise _damaged(file, "it is not CSV") from None
    lacking = [name for name in required if name not in header]
    if lacking:
        raise _damaged(file, f"it has no column {lacking[0]}")
    for line, row in enumerate(rows, start=2):
        if len(row) != len(header):
            raise _damaged(file, f"line {line} has {len(row)} of {len(header)} cells")
    cells = zip(*rows, strict=True)
    return {name: list(column) for name, column in zip(header, cells, strict=True)} if rows else {}


def _numbers(file: Path, name: str, cells: Sequence[str]) -> Floats:
    """Return a column as numbers; empty cells are NaN."""
    try:
        return np.array([float(cell or "nan") for cell in cells])
    except ValueError as error:
        raise _damaged(file, f"column {name}: {error}") from None


def _damaged(file: Path, what: str) -> ExperimentError:
    return ExperimentError(f"{file} is damaged ({what}): delete it and run the experiment again")
