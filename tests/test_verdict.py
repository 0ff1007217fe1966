"""What an experiment answers, for every way its figures can turn out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from scipy.stats import mannwhitneyu

from connectfour.experiments.reporting.rows import AverageRow, PairRow
from connectfour.experiments.reporting.verdict import (
    Verdict,
    caution,
    compare_axes,
    fewest_runs,
    judge,
    smallest_p_value,
)

_METRIC = "value_preserving"


def _average(variant: str, mean: float, runs: int = 4) -> AverageRow:
    spread: dict[str, Any] = {"mean_low95": mean - 0.01, "mean_high95": mean + 0.01} if runs > 1 else {}
    return AverageRow(metric=_METRIC, axis="minutes", at=30.0, variant=variant, runs=runs, of=4, mean=mean, **spread)


def _pair(one: str, other: str, difference: float, half: float, p_value: float, **changes: Any) -> PairRow:
    values: dict[str, Any] = {
        "runs": 4,
        "runs_of_other": 4,
        "difference_low95": difference - half,
        "difference_high95": difference + half,
        "probability": 0.94 if difference > 0 else 0.06,
        "probability_low95": 0.7 if difference > 0 else 0.0,
        "probability_high95": 1.0 if difference > 0 else 0.3,
        "p_value": p_value,
        "p_value_corrected": p_value,
        **changes,
    }
    return PairRow(metric=_METRIC, axis="minutes", at=30.0, variant=one, other=other, difference=difference, **values)


def _two(difference: float, half: float, p_value: float, **changes: Any) -> Verdict:
    """Judge apex, the better one in the mean, against ppo; the file names ppo first."""
    averages = [_average("ppo", 0.9), _average("apex", 0.9 + difference)]
    return judge(_METRIC, "minutes", averages, [_pair("ppo", "apex", -difference, half, p_value, **changes)], 2)


def test_a_better_variant() -> None:
    """The pair is told from the side of the better one, whichever the file names first."""
    verdict = _two(0.012, 0.008, 0.0286)
    assert verdict.kind == "better"
    assert verdict.better == {("apex", "ppo")}
    assert verdict.headline == (
        "At equal minutes, apex is better than ppo by 0.012 in the share of moves that keep the result "
        "(95\u00a0% interval 0.004 to 0.020)."
    )
    assert verdict.details == (
        "Means after 30 minutes of training each: 0.912 for apex and 0.900 for ppo.",
        "A run of apex beats a run of ppo with probability 0.94 (95\u00a0% interval 0.70 to 1.00); p = 0.029.",
    )


def test_a_perfect_separation_has_no_interval_of_its_probability() -> None:
    """The bootstrap would say 1.00 to 1.00, which promises too much."""
    verdict = _two(0.012, 0.008, 0.0286, probability=0.0, probability_low95=0.0, probability_high95=0.0)
    assert verdict.details[-1] == "Each of the 4 runs of apex beats each of the 4 runs of ppo; p = 0.029."


def test_no_clear_difference_says_what_is_excluded() -> None:
    verdict = _two(0.003, 0.008, 0.343)
    assert verdict.kind == "unclear"
    assert not verdict.better
    assert verdict.headline.startswith("At equal minutes, no clear difference between apex and ppo")
    difference, excluded = verdict.details[1:]
    assert difference == "Difference +0.003 (95\u00a0% interval \u22120.005 to +0.011); p = 0.34."
    assert excluded.startswith("The interval leaves open that apex is better by up to 0.011 or worse by up to 0.005;")


@pytest.mark.parametrize(
    ("half", "p_value", "changes", "words"),
    [
        (0.008, 0.057, {}, "The interval excludes 0, but the test does not"),
        (0.02, 0.0286, {}, "The test finds a difference, but the interval includes 0"),
        (0.008, 0.0286, {"probability": 0.6}, "The interval excludes 0, but the runs differ the other way around"),
    ],
)
def test_mixed_evidence_is_no_clear_difference(
    half: float, p_value: float, changes: Mapping[str, float], words: str
) -> None:
    """Interval, test and probability of improvement must agree."""
    verdict = _two(0.012, half, p_value, **changes)
    assert verdict.kind == "unclear"
    assert words in verdict.details[-1]


def test_the_corrected_p_value_decides() -> None:
    assert _two(0.012, 0.008, 0.0286, p_value_corrected=0.0858).kind == "unclear"


@pytest.mark.parametrize("runs", [1, 2, 3])
def test_too_few_seeds(runs: int) -> None:
    """However large the difference, it is an observation only."""
    verdict = _two(0.3, 0.01, 0.001, runs=runs, runs_of_other=runs)
    assert verdict.kind == "too few seeds"
    assert not verdict.better
    assert verdict.headline.startswith("Too few seeds to tell at equal minutes")
    assert "a difference of +0.300" in verdict.details[0]
    assert "at least 4 runs per variant" in verdict.details[-1]


def test_few_seeds_of_one_variant_can_do_if_the_other_has_many() -> None:
    """2 / C(9, 2) is 0.056, and 2 / C(10, 2) is 0.044."""
    assert _two(0.3, 0.01, 0.001, runs=2, runs_of_other=7).kind == "too few seeds"
    assert _two(0.3, 0.01, 0.001, runs=2, runs_of_other=8).kind == "better"


def test_smallest_p_value_is_that_of_a_perfect_separation() -> None:
    for runs, others in ((2, 2), (3, 5), (4, 4), (8, 2)):
        exact = mannwhitneyu(range(runs), range(100, 100 + others), method="exact").pvalue
        assert smallest_p_value(runs, others) == pytest.approx(exact)
        assert smallest_p_value(runs, others, pairs=3) == pytest.approx(min(1, 3 * exact))
    assert [fewest_runs(pairs) for pairs in (1, 3, 15)] == [4, 5, 6]


def _three(p_values: tuple[float, float, float], runs: int = 5, variants: int = 3) -> Verdict:
    averages = [_average("a", 0.88, runs), _average("b", 0.9, runs), _average("c", 0.92, runs)]
    rest = {"runs": runs, "runs_of_other": runs}
    pairs = [
        _pair("a", "b", -0.02, 0.01, p_values[0], **rest),
        _pair("a", "c", -0.04, 0.01, p_values[1], **rest),
        _pair("b", "c", -0.02, 0.01, p_values[2], **rest),
    ]
    return judge(_METRIC, "minutes", averages, pairs, variants)


def test_the_best_of_several_against_each_of_the_others() -> None:
    all_better = _three((0.02, 0.02, 0.02))
    assert "c is better than each of the other 2 variants" in all_better.headline
    assert all_better.better == {("c", "a"), ("c", "b")}
    some = _three((0.02, 0.02, 0.2))
    assert "c is better than a in the" in some.headline
    assert some.points == (
        "no clear difference to b (0.900): +0.020 (+0.010 to +0.030), p = 0.20",
        "better than a (0.880): +0.040 (+0.030 to +0.050), p = 0.020",
    )
    assert "corrected for 3 pairs" in some.details[0]
    none = _three((0.02, 0.2, 0.2))
    assert none.kind == "unclear"
    assert "c has the highest mean, but is not clearly better" in none.headline


def test_variants_without_results_are_not_claimed_to_be_worse() -> None:
    verdict = _three((0.02, 0.02, 0.02), variants=4)
    assert "c is better than each of the other 2 evaluated variants in the" in verdict.headline


def test_more_pairs_need_more_seeds() -> None:
    """4 runs are enough for one pair, not for three."""
    verdict = _three((0.01, 0.01, 0.01), runs=4)
    assert verdict.kind == "too few seeds"
    assert "with 4 runs per variant and 3 pairs of variants" in verdict.headline
    assert "p = 0.086" in verdict.headline
    assert "at least 5 runs per variant" in verdict.details[-1]


def test_one_variant_is_described_and_not_compared() -> None:
    verdict = judge(_METRIC, "env_steps", [_average("all", 0.905)], [], 1)
    assert verdict.kind == "one variant"
    assert verdict.headline.endswith("is 0.905 (95\u00a0% interval 0.895 to 0.915) over 4 runs.")
    single = judge(_METRIC, "env_steps", [_average("all", 0.905, runs=1)], [], 1)
    assert "interval" not in single.headline
    assert single.details == ("One run does not show how much runs differ.",)


def test_nothing_to_compare() -> None:
    assert judge(_METRIC, "minutes", [], [], 2).kind == "nothing"
    survivor = judge(_METRIC, "minutes", [_average("apex", 0.9)], [], 2)
    assert survivor.headline == "At equal minutes, there is nothing to compare: only apex has evaluated runs."
    lost = judge(_METRIC, "minutes", [_average("apex", 0.9), _average("ppo", 0.8)], [], 2)
    assert (lost.kind, lost.headline) == ("nothing", "At equal minutes, apex and ppo were not compared.")


def test_answers_that_differ_between_minutes_and_env_steps() -> None:
    better, unclear = _two(0.012, 0.008, 0.0286), _two(0.012, 0.02, 0.2)
    reverse = Verdict("better", "", better=frozenset({("ppo", "apex")}))
    assert compare_axes(better, better) == compare_axes(unclear, unclear) == ""
    assert compare_axes(better, unclear).startswith("The two answers differ")
    assert compare_axes(better, reverse).startswith("The two answers contradict each other")


def test_caution_about_intervals_of_few_runs() -> None:
    assert caution([_average("a", 0.9, 4), _average("b", 0.9, 20)]).startswith("With 4 runs")
    assert caution([_average("a", 0.9, 10)]) == caution([_average("a", 0.9, 1)]) == caution([]) == ""
