"""The metrics of an experiment by name: those of training, in ``train.csv``, and those of the evaluation."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from connectfour.errors import ConfigError
from connectfour.experiments.schema import EVALUATED
from connectfour.runs.progress import COMMON_COLUMNS
from connectfour.settings.schema import RunSettings

GRADED_WHILE_TRAINING = "value_preserving_dev"
"""Column of ``train.csv``: main's grade on the dev half, which selects the best policy; ``test`` judges it."""

_NO_METRICS = ("iteration", "frozen")


def train_column(column: str) -> str:
    """Return the name in ``train.csv`` of a column of ``progress.csv``."""
    return GRADED_WHILE_TRAINING if column == "value_preserving" else column


def training_metrics(settings: RunSettings) -> list[str]:
    """Return the metrics that a run reports while it trains."""
    columns = [*COMMON_COLUMNS, *(metric.column for metric in settings.metrics)]
    return [train_column(column) for column in columns if column not in _NO_METRICS]


def score_against(opponent: str) -> str:
    """Return the metric of main's points per game against an opponent of the ladder."""
    return f"score:{opponent.removeprefix('heuristic:')}"


def check_metric(name: str, training: Iterable[str], opponents: Sequence[str]) -> None:
    """Check that a metric can be plotted.

    Raises:
        ConfigError: there is no such metric; the message suggests the closest one.
    """
    known = [*EVALUATED, *map(score_against, opponents), *dict.fromkeys(training)]
    if name not in known:
        raise ConfigError(unknown_metric(name, known))


def unknown_metric(name: str, known: Sequence[str]) -> str:
    """Return what to say about a metric that is not among those that are ``known``."""
    (close,) = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
    return f"unknown metric {name!r}: did you mean {close!r}? (the metrics are {', '.join(known)})"
