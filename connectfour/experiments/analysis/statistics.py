"""Statistics over the runs of a variant, and of two variants: mathematics only.

A score is one number per run, so seeds are the sample: scores have shape (runs,), or (runs, points) for values at
several points of the runs. Every statistic is computed over axis 0 and has the shape that is left, () or (points,).
Scores are finite.

Intervals are 95 % percentile intervals of a bootstrap that resamples whole runs, each variant on its own, as Agarwal
et al. 2021 recommend ("Deep Reinforcement Learning at the Edge of the Statistical Precipice", sections 4.1 and 4.3).
With one run there is no interval: its ends are NaN. These intervals are too narrow for few runs: for normal scores the
mean's is half as wide as Student's for four runs, and three quarters as wide for eight.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import bootstrap, rankdata, trim_mean

Floats = NDArray[np.float64]

RESAMPLES_OF_A_CURVE = 2_000
"""Bootstrap resamples of each point of a curve; rliable takes as many. An interval's end varies by 2 % of its width."""

RESAMPLES_OF_A_COMPARISON = 10_000
"""Bootstrap resamples of two variants at one point."""

_Statistic = Callable[..., Floats]
"""Maps samples with runs on axis -1 to statistics (statistics, ...)."""


@dataclass(frozen=True)
class Estimate:
    """A statistic with its 95 % interval; all arrays are () or (points,)."""

    value: Floats
    low95: Floats
    high95: Floats


@dataclass(frozen=True)
class Summary:
    """The runs of one variant.

    Attributes:
        runs: number of runs.
        mean: mean over runs.
        sd: sample standard deviation (divided by runs - 1); NaN for one run.
        iqm: interquartile mean over runs.
    """

    runs: int
    mean: Estimate
    sd: Floats
    iqm: Estimate


@dataclass(frozen=True)
class Comparison:
    """The runs X of a variant against the runs Y of another.

    Attributes:
        difference: mean of X minus mean of Y.
        probability: probability of improvement, P(X > Y) + P(X = Y) / 2.
        p_value: exact two-sided p-value of Mann and Whitney's test that X and Y have the same distribution.
    """

    difference: Estimate
    probability: Estimate
    p_value: Floats


def summarize(scores: Floats, *, resamples: int = RESAMPLES_OF_A_CURVE, seed: int = 0) -> Summary:
    """Return the statistics of the runs of one variant.

    Args:
        scores: (runs,) or (runs, points), at least one run.
        resamples: bootstrap resamples.
        seed: seed of the bootstrap.
    """
    mean, iqm = _estimate(_mean_and_iqm, scores, resamples=resamples, seed=seed)
    sd = np.std(scores, axis=0, ddof=1) if len(scores) > 1 else np.full(scores.shape[1:], np.nan)
    return Summary(len(scores), mean, np.asarray(sd), iqm)


def compare(x: Floats, y: Floats, *, resamples: int = RESAMPLES_OF_A_COMPARISON, seed: int = 0) -> Comparison:
    """Compare the runs of two variants.

    Args:
        x: scores of one variant, (runs,) or (runs, points).
        y: scores of the other, (other runs,) or (other runs, points).
        resamples: bootstrap resamples.
        seed: seed of the bootstrap.
    """
    difference, probability = _estimate(_difference_and_probability, x, y, resamples=resamples, seed=seed)
    return Comparison(difference, probability, mann_whitney(x, y))


def mann_whitney(x: Floats, y: Floats) -> Floats:
    """Return the exact two-sided p-value of Mann and Whitney's test, () or (points,), with or without ties.

    It is the share of all divisions of the pooled scores into groups of these sizes whose rank sum is at least as far
    out, doubled for two sides. Divisions are counted by the shift algorithm (Streitberg and Röhmel 1986): without ties
    it gives what ``scipy.stats.mannwhitneyu(method="exact")`` gives. With ties, which scores such as a won ladder
    have, SciPy's exact method does not apply and its permutations are exact for small samples only.

    Args:
        x: scores of one variant, (runs,) or (runs, points).
        y: scores of the other.
    """
    # Twice the midranks: with ties, ranks are halves.
    ranks = np.asarray(2 * rankdata(np.concatenate([x, y]), axis=0)).astype(np.int64)
    columns = ranks.reshape(len(ranks), -1).T
    return np.array([_rank_sum_p_value(column, len(x)) for column in columns]).reshape(ranks.shape[1:])


def _rank_sum_p_value(ranks: NDArray[np.int64], size: int) -> float:
    """Return the two-sided p-value of the sum of the first ``size`` of ``ranks`` (scores,), integers."""
    # divisions[k, s]: number of ways to take k of the scores seen so far with the rank sum s.
    divisions = np.zeros((size + 1, int(ranks.sum()) + 1))
    divisions[0, 0] = 1
    for rank in ranks.tolist():
        divisions[1:, rank:] += divisions[:-1, :-rank]
    observed, sums = int(ranks[:size].sum()), divisions[size]
    tail = min(sums[: observed + 1].sum(), sums[observed:].sum())
    return min(1.0, float(2 * tail / sums.sum()))


def holm(p_values: Floats) -> Floats:
    """Correct p-values (comparisons, ...) over axis 0 for their number (Holm 1979)."""
    count = len(p_values)
    order = np.argsort(p_values, axis=0, kind="stable")
    factors = np.arange(count, 0, -1).reshape(-1, *[1] * (p_values.ndim - 1))
    ordered = np.maximum.accumulate(np.take_along_axis(p_values, order, axis=0) * factors, axis=0)
    corrected = np.empty_like(ordered)
    np.put_along_axis(corrected, order, np.minimum(1.0, ordered), axis=0)
    return corrected


def _mean_and_iqm(x: Floats, axis: int = -1) -> Floats:
    return np.stack([x.mean(axis), trim_mean(x, 0.25, axis=axis)])


def _difference_and_probability(x: Floats, y: Floats, axis: int = -1) -> Floats:
    wins, ties = (compared(x[..., :, None], y[..., None, :]).mean((-1, -2)) for compared in (np.greater, np.equal))
    return np.stack([x.mean(-1) - y.mean(-1), wins + ties / 2])


def _estimate(statistic: _Statistic, *samples: Floats, resamples: int, seed: int) -> list[Estimate]:
    """Return each of the statistics of samples (runs,) or (runs, points) with its interval."""
    values = statistic(*(np.moveaxis(sample, 0, -1) for sample in samples))
    low = high = np.full_like(values, np.nan)
    if min(map(len, samples)) > 1:
        interval: Any = bootstrap(
            samples,
            statistic,
            n_resamples=resamples,
            vectorized=True,
            axis=0,
            method="percentile",
            rng=np.random.default_rng(seed),
        ).confidence_interval
        low, high = interval.low, interval.high
    return [Estimate(*parts) for parts in zip(values, low, high, strict=True)]
