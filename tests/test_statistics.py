"""Statistics over runs, beside those of rliable and SciPy."""

from __future__ import annotations

import importlib
import importlib.util
import math
import sys
from collections.abc import Iterator
from itertools import product
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import PermutationMethod, mannwhitneyu, trim_mean

from connectfour.experiments.analysis.statistics import (
    Floats,
    compare,
    holm,
    mann_whitney,
    summarize,
)

RESAMPLES = 20_000


@pytest.fixture(scope="module")
def rliable() -> Iterator[Any]:
    """rliable's two modules, loaded without what ``arch`` imports for other purposes.

    rliable 1.2 asks for arch below 8, whose volatility models do not import under pandas 3.1; its bootstrap does.
    """
    spec = importlib.util.find_spec("arch")
    assert spec
    with pytest.MonkeyPatch.context() as patch:
        bare = ModuleType("arch")
        bare.__path__ = list(spec.submodule_search_locations or ())
        patch.setitem(sys.modules, "arch", bare)
        library, metrics = (importlib.import_module(f"rliable.{name}") for name in ("library", "metrics"))
        # It draws from NumPy's global generator, whatever random state it is given.
        state = np.random.get_state()  # noqa: NPY002
        np.random.seed(7)  # noqa: NPY002
        yield SimpleNamespace(library=library, metrics=metrics)
        np.random.set_state(state)  # noqa: NPY002


def runs_of(count: int, mean: float = 0.9, points: int = 1, seed: int = 0) -> Floats:
    """Scores (count, points) of runs."""
    return np.random.default_rng(seed).normal(mean, 0.02, (count, points))


def test_mean_and_interquartile_mean_are_those_of_rliable(rliable: Any) -> None:
    """The values exactly; the ends of the intervals up to three standard errors of 1,000 resamples."""
    scores = runs_of(8)
    ours = summarize(scores[:, 0], resamples=RESAMPLES)
    assert ours.mean.value == pytest.approx(rliable.metrics.aggregate_mean(scores), abs=1e-12)
    assert ours.iqm.value == pytest.approx(rliable.metrics.aggregate_iqm(scores), abs=1e-12)

    def both(data: Floats) -> Floats:
        return np.array([rliable.metrics.aggregate_mean(data), rliable.metrics.aggregate_iqm(data)])

    _, intervals = rliable.library.get_interval_estimates({"ppo": scores}, both, reps=1_000)
    for estimate, (low, high) in zip((ours.mean, ours.iqm), intervals["ppo"].T, strict=True):
        assert_allclose([float(estimate.low95), float(estimate.high95)], [low, high], atol=0.07 * (high - low))


@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_intervals_of_few_runs_are_those_of_all_resamples(count: int) -> None:
    """There are n to the power of n, all equally likely."""
    scores = runs_of(count, seed=count)[:, 0]
    ours = summarize(scores, resamples=RESAMPLES)
    every = scores[np.array(list(product(range(count), repeat=count)))]
    for estimate, values in ((ours.mean, every.mean(axis=1)), (ours.iqm, trim_mean(every, 0.25, axis=1))):
        assert_allclose(
            [float(estimate.low95), float(estimate.high95)], np.quantile(values, [0.025, 0.975], method="inverted_cdf")
        )


def test_probability_of_improvement_is_that_of_rliable(rliable: Any) -> None:
    """Both variants are resampled, each on its own."""
    x, y = runs_of(5, 0.91, seed=1), runs_of(6, 0.9, seed=2)
    ours = compare(x[:, 0], y[:, 0], resamples=RESAMPLES).probability
    improvement = rliable.metrics.probability_of_improvement
    assert ours.value == pytest.approx(improvement(x, y), abs=1e-12)
    _, intervals = rliable.library.get_interval_estimates(
        {"x,y": (x, y)}, lambda *both: np.array([improvement(*both)]), reps=500
    )
    # The probability has steps of 1/30; an interval's end may be the next one.
    assert_allclose([float(ours.low95), float(ours.high95)], np.ravel(intervals["x,y"]), atol=1.001 / 30)


def test_tied_scores_count_half(rliable: Any) -> None:
    x, y = np.array([0.5, 0.7, 0.7, 0.9]), np.array([0.7, 0.7, 0.4])
    expected = (1 + 2.0 + 2.0 + 3) / 12
    assert compare(x, y).probability.value == pytest.approx(expected)
    assert rliable.metrics.probability_of_improvement(x[:, None], y[:, None]) == pytest.approx(expected)


def test_difference_of_means_is_resampled_from_both_variants() -> None:
    """Its bootstrap distribution is known: variances add, each with n - 1 in place of n."""
    x, y = runs_of(30, 0.92, seed=3)[:, 0], runs_of(40, seed=4)[:, 0]
    difference = compare(x, y).difference
    assert difference.value == pytest.approx(x.mean() - y.mean())
    half = 1.96 * math.sqrt(x.var() / 30 + y.var() / 40)
    assert_allclose([difference.low95, difference.high95], difference.value + np.array([-half, half]), atol=0.1 * half)


def test_every_point_is_what_it_would_be_alone() -> None:
    """Vectors over points are a matter of speed only; whole runs are resampled."""
    x, y = runs_of(4, points=3, seed=5) + np.array([0, 0.01, 0.04]), runs_of(5, points=3, seed=6)
    together, versus = summarize(x), compare(x, y)
    for point in range(3):
        alone, alone_versus = summarize(x[:, point]), compare(x[:, point], y[:, point])
        for many, one in ((together.mean, alone.mean), (together.iqm, alone.iqm)):
            assert many.low95[point] == one.low95
            assert many.high95[point] == one.high95
        assert together.sd[point] == alone.sd == pytest.approx(math.sqrt(np.var(x[:, point]) * 4 / 3))
        assert versus.probability.high95[point] == alone_versus.probability.high95
        assert versus.difference.low95[point] == alone_versus.difference.low95
        assert versus.p_value[point] == alone_versus.p_value


def test_bootstrap_repeats_under_its_seed() -> None:
    scores = runs_of(30)[:, 0]
    assert summarize(scores, seed=1) == summarize(scores, seed=1)
    assert summarize(scores, seed=1).mean.low95 != summarize(scores, seed=2).mean.low95


def test_one_run_has_no_interval_and_no_deviation() -> None:
    one = summarize(np.array([[0.9, 0.8]]))
    assert_array_equal(one.mean.value, [0.9, 0.8])
    assert_array_equal(one.iqm.value, [0.9, 0.8])
    for missing in (one.sd, one.mean.low95, one.mean.high95, one.iqm.low95, one.iqm.high95):
        assert_array_equal(missing, [math.nan] * 2)
    versus = compare(np.array([0.9]), np.array([0.8, 0.7]))
    assert versus.difference.value == pytest.approx(0.15)
    assert versus.probability.value == 1
    assert math.isnan(versus.difference.low95)
    assert math.isnan(versus.probability.high95)
    assert versus.p_value == pytest.approx(2 / 3)


def test_equal_scores_have_an_interval_without_width() -> None:
    """A ladder that is won in every game has no spread; nothing warns."""
    ones = np.ones((4, 2))
    summary, versus = summarize(ones), compare(ones, ones)
    for estimate in (summary.mean, summary.iqm):
        assert_array_equal([estimate.value, estimate.low95, estimate.high95], np.ones((3, 2)))
    assert_array_equal(summary.sd, [0, 0])
    assert_array_equal(versus.difference.high95 - versus.difference.low95, [0, 0])
    assert_array_equal(versus.probability.low95, [0.5, 0.5])
    assert_array_equal(versus.p_value, [1, 1])


@pytest.mark.parametrize("shift", [0.0, 3.0, -1.0])
def test_a_constant_shift_moves_means_alone(shift: float) -> None:
    x, y = runs_of(4, seed=8)[:, 0], runs_of(4, seed=9)[:, 0]
    before, after = summarize(x), summarize(x + shift)
    for old, new in ((before.mean, after.mean), (before.iqm, after.iqm)):
        assert_allclose(np.array([new.value, new.low95, new.high95]) - shift, [old.value, old.low95, old.high95])
    assert after.sd == pytest.approx(float(before.sd))
    versus, moved = compare(x, y), compare(x + shift, y + shift)
    assert moved.p_value == versus.p_value
    assert moved.probability.value == versus.probability.value
    assert moved.difference.value == pytest.approx(float(versus.difference.value))


def test_swapping_the_variants_mirrors_the_comparison() -> None:
    x, y = runs_of(5, 0.91, seed=10)[:, 0], runs_of(4, seed=11)[:, 0]
    versus, swapped = compare(x, y), compare(y, x)
    assert swapped.probability.value == pytest.approx(1 - float(versus.probability.value))
    assert swapped.difference.value == pytest.approx(-float(versus.difference.value))
    assert swapped.p_value == versus.p_value
    assert swapped.probability.low95 == pytest.approx(1 - float(versus.probability.high95), abs=1.001 / 20)


@pytest.mark.parametrize(("runs", "others"), [(1, 1), (3, 3), (4, 4), (5, 7), (8, 8), (20, 20)])
def test_p_values_are_exact(runs: int, others: int) -> None:
    """As SciPy's recursion for scores without ties."""
    for seed in range(5):
        x, y = runs_of(runs, 0.91, seed=seed)[:, 0], runs_of(others, seed=seed + 50)[:, 0]
        assert mann_whitney(x, y) == pytest.approx(mannwhitneyu(x, y, method="exact").pvalue, rel=1e-9)


@pytest.mark.parametrize(("runs", "others"), [(3, 4), (4, 4), (5, 5)])
def test_p_values_of_tied_scores_are_exact(runs: int, others: int) -> None:
    """As the share among all divisions of the scores, which SciPy tries one by one."""
    rng = np.random.default_rng(runs)
    x, y = rng.integers(0, 4, runs) / 3, rng.integers(0, 4, others) / 3
    every = PermutationMethod(n_resamples=10_000)
    assert mann_whitney(x, y) == pytest.approx(mannwhitneyu(x, y, method=every).pvalue, rel=1e-9)


def test_holm_multiplies_by_the_hypotheses_that_are_left() -> None:
    """The example has three comparisons, at two points; a later one is never more significant than an earlier."""
    p_values = np.array([[0.01, 0.6], [0.04, 0.01], [0.03, 0.7]])
    assert_allclose(holm(p_values), [[0.03, 1.0], [0.06, 0.03], [0.06, 1.0]])
    assert_allclose(holm(p_values[:, 0]), [0.03, 0.06, 0.06])
    assert_array_equal(holm(np.array([0.2])), [0.2])
