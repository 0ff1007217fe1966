"""The lines of an experiment's CSV files."""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, ConfigDict


class Row(BaseModel):
    """A line of a CSV file, with the columns that the report reads; empty cells and NaN are None."""

    model_config = ConfigDict(frozen=True)


class AverageRow(Row):
    """A variant at one point of training, in ``average.csv``."""

    metric: str
    axis: str
    at: float
    variant: str
    runs: int
    of: int
    mean: float
    sd: float | None = None
    iqm: float | None = None
    mean_low95: float | None = None
    mean_high95: float | None = None
    iqm_low95: float | None = None
    iqm_high95: float | None = None


class PairRow(Row):
    """Two variants at one point of training, in ``probability_of_improvement.csv``.

    Attributes:
        difference: mean of ``variant`` minus mean of ``other``.
        probability: that a run of ``variant`` is better than a run of ``other``.
        p_value_corrected: corrected for the number of pairs of variants.
    """

    metric: str
    axis: str
    at: float
    variant: str
    other: str
    runs: int
    runs_of_other: int
    difference: float
    difference_low95: float | None = None
    difference_high95: float | None = None
    probability: float
    probability_low95: float | None = None
    probability_high95: float | None = None
    p_value: float
    p_value_corrected: float

    @property
    def swapped(self) -> Self:
        """The same comparison, seen from the other variant."""
        changes: dict[str, Any] = {
            "variant": self.other,
            "other": self.variant,
            "runs": self.runs_of_other,
            "runs_of_other": self.runs,
            "difference": -self.difference,
            "difference_low95": _negated(self.difference_high95),
            "difference_high95": _negated(self.difference_low95),
            "probability": 1 - self.probability,
            "probability_low95": _rest(self.probability_high95),
            "probability_high95": _rest(self.probability_low95),
        }
        return self.model_copy(update=changes)


class TrainRow(Row):
    """The last iteration of a run, in ``train.csv``."""

    minutes: float
    env_steps: int
    win_rate: float | None = None
    league_size: int | None = None


class EvalRow(Row):
    """A policy of main at one point of its training, in ``eval.csv``."""

    env_steps: int
    metric: str
    value: float
    low95: float | None = None
    high95: float | None = None


class MatchRow(Row):
    """Example games of a run's main from one seat, in ``match.csv``."""

    opponent: str
    seat: str | None = None
    games: int
    wins: int
    draws: int
    losses: int


def _negated(value: float | None) -> float | None:
    return None if value is None else -value


def _rest(share: float | None) -> float | None:
    return None if share is None else 1 - share
