"""Ratings: the closed form against the trueskill package, the joint posterior against plain numerical optimisation."""

from __future__ import annotations

import math

import numpy as np
import pytest
import trueskill
from scipy.optimize import minimize
from scipy.stats import norm

from connectfour.ranking.trueskill import BETA, MU, SIGMA, Rating, Tally, _draw_terms, joint_posterior, update

ENVIRONMENT = trueskill.TrueSkill(tau=0, draw_probability=0.1, backend="scipy")
MARGIN = trueskill.calc_draw_margin(0.1, 2, ENVIRONMENT)


@pytest.mark.parametrize("result", [1, 0, -1])
def test_one_update_equals_the_packages(result: int) -> None:
    """To nine digits, for fresh and for settled players, expected results and upsets."""
    rng = np.random.default_rng(result + 1)
    for _ in range(300):
        one, other = (Rating(rng.normal(25, 8), rng.uniform(0.5, 9)) for _ in range(2))
        theirs = [ENVIRONMENT.create_rating(*rating) for rating in (one, other)]
        if result >= 0:
            expected = ENVIRONMENT.rate_1vs1(*theirs, drawn=result == 0)
        else:
            expected = ENVIRONMENT.rate_1vs1(*theirs[::-1])[::-1]
        for found, wanted in zip(update(one, other, result, MARGIN), expected, strict=True):
            assert found.mu == pytest.approx(wanted.mu, abs=1e-9)
            assert found.sigma == pytest.approx(wanted.sigma, abs=1e-9)


@pytest.mark.parametrize("margin", [1e-3, 1e-7, 1e-12])
def test_a_draw_of_equals_is_right_for_any_margin(margin: float) -> None:
    """As if the difference of the performances had been seen; the package gives 9.6 or 3.5 here."""
    first, second = update(Rating(), Rating(), 0, margin)
    observed = SIGMA**2 * (1 - SIGMA**2 / (2 * BETA**2 + 2 * SIGMA**2))
    assert first == pytest.approx((MU, math.sqrt(observed)), rel=1e-6)
    assert second == first


@pytest.mark.parametrize("margin", [1e-4, 1e-7, 1e-10])
def test_a_draw_within_a_tiny_margin_is_a_difference_of_zero(margin: float) -> None:
    """Conditioning two normals on their performances being equal."""
    one, other = Rating(27, 3), Rating(22, 5)
    first, second = update(one, other, 0, margin)
    variance = 2 * BETA**2 + 9 + 25
    assert first == pytest.approx((27 - 9 / variance * 5, math.sqrt(9 - 81 / variance)), rel=1e-6)
    assert second == pytest.approx((22 + 25 / variance * 5, math.sqrt(25 - 625 / variance)), rel=1e-6)


@pytest.mark.parametrize("result", [1, 0])
@pytest.mark.parametrize("gap", [230.0, 1e4, 1e8, 1e10])
def test_extreme_upsets_stay_finite(result: int, gap: float) -> None:
    """The package raises FloatingPointError at a gap of 230."""
    low, high = Rating(0, 1), Rating(gap, 1)
    after = update(low, high, result, MARGIN)
    assert low.mu < after[0].mu <= after[1].mu + 1 < high.mu + 1
    expected = math.sqrt(1 - 1 / (2 * BETA**2 + 2))  # the performances were the same, as good as exactly
    assert [rating.sigma for rating in after] == pytest.approx([expected, expected], abs=1e-4)
    confirmed = update(high, low, 1, MARGIN)
    assert confirmed[0] == pytest.approx(high)


def test_moments_of_a_draw_against_quadrature() -> None:
    """Both formulas, on either side of where they change over."""
    for gap, margin in [(0.3, 0.049), (0.3, 0.051), (19.0, 0.049), (21.0, 0.049), (3.0, 2.0), (0.5, 2.0)]:
        # One player is known exactly, so that the performance difference is N(gap, 1) in units of its deviation.
        scale = math.sqrt(2 * BETA**2 + 1 + 1e-18)
        first, _ = update(Rating(gap * scale, 1), Rating(0, 1e-9), 0, margin * scale)
        difference = np.linspace(-margin, margin, 20_001)
        weight = np.exp(-((difference - gap) ** 2 - min(0.0, margin - gap) ** 2) / 2)
        mean = np.trapezoid(weight * difference, difference) / np.trapezoid(weight, difference)
        variance = np.trapezoid(weight * (difference - mean) ** 2, difference) / np.trapezoid(weight, difference)
        assert first.mu == pytest.approx(gap * scale + (mean - gap) / scale, abs=1e-6)
        assert first.sigma**2 == pytest.approx(1 - (1 - variance) / scale**2, abs=1e-7)


Games = dict[tuple[str, str], Tally]


@pytest.mark.parametrize("margin", [1e-9, 1e-6, 0.01, 0.4, 0.99, 1.01, 5.0])
def test_terms_of_draws_are_right_at_any_margin(margin: float) -> None:
    """The mass of N(gap, 1) within the margin, and the derivatives of its logarithm, against quadrature."""
    gap = np.array([-7.0, -1.0, 0.0, 0.02, 0.9, 1.1, 30.0])
    log_mass, upper, lower, shift, bend = _draw_terms(gap, np.full(7, margin))
    nodes, weights = np.polynomial.legendre.leggauss(200)
    distance = margin * nodes
    for row, x in enumerate(gap):
        exponent = -((distance - x) ** 2) / 2
        top = exponent.max()
        part = weights * margin * np.exp(exponent - top) / math.sqrt(2 * math.pi)
        mass = part.sum()
        mean = (part * distance).sum() / mass
        variance = (part * (distance - mean) ** 2).sum() / mass
        assert log_mass[row] == pytest.approx(math.log(mass) + top, rel=1e-9)
        assert shift[row] == pytest.approx(mean - x, rel=1e-7, abs=1e-7)
        assert bend[row] == pytest.approx(variance - 1, rel=1e-6)
        for found, end in ((upper, margin), (lower, -margin)):
            density = math.exp(-((end - x) ** 2) / 2 - top) / math.sqrt(2 * math.pi)
            assert found[row] == pytest.approx(density / mass, rel=1e-7, abs=1e-12)


def _log_posterior(point: np.ndarray, names: list[str], games: Games) -> float:
    """The model as its definition says, without care for rounding."""
    *skills, advantage, margin = point
    if margin <= 0:
        return -math.inf
    total = norm.logpdf(skills, MU, SIGMA).sum() + norm.logpdf(advantage, 0, BETA)
    total += math.log(margin) - 2 * margin / (BETA / 2)
    for (first, second), tally in games.items():
        gap = skills[names.index(first)] - skills[names.index(second)] + advantage
        spread = math.sqrt(2) * BETA
        lost, not_won = norm.cdf((-margin - gap) / spread), norm.cdf((margin - gap) / spread)
        for count, probability in zip(tally, (1 - not_won, not_won - lost, lost), strict=True):
            total += count * math.log(max(probability, 1e-300))
    return float(total)


def test_the_joint_posterior_is_the_models_mode_with_its_curvature() -> None:
    """Found by a library's optimiser and by second differences."""
    names = ["a", "b", "c"]
    games = {
        ("a", "b"): Tally(6, 2, 3),
        ("b", "a"): Tally(4, 1, 5),
        ("b", "c"): Tally(7, 0, 1),
        ("c", "a"): Tally(1, 1, 4),
    }
    posterior = joint_posterior(names, games)
    found = minimize(
        lambda x: -_log_posterior(x, names, games),
        posterior.mean + 0.5,
        method="Nelder-Mead",
        options={"xatol": 1e-7, "fatol": 1e-12, "maxiter": 20_000, "maxfev": 20_000},
    )
    assert posterior.mean == pytest.approx(found.x, abs=1e-4)
    step = 1e-3
    curvature = np.zeros((5, 5))
    for row in range(5):
        for column in range(5):
            corners = [
                posterior.mean + step * (one * np.eye(5)[row] + other * np.eye(5)[column])
                for one, other in ((1, 1), (1, -1), (-1, 1), (-1, -1))
            ]
            values = [_log_posterior(corner, names, games) for corner in corners]
            curvature[row, column] = (values[0] - values[1] - values[2] + values[3]) / (4 * step**2)
    assert np.linalg.inv(-curvature) == pytest.approx(posterior.covariance, rel=1e-3, abs=1e-4)


def _simulate(
    seed: int, players: int = 8, games: int = 600
) -> tuple[list[str], np.ndarray, dict[tuple[str, str], Tally]]:
    """Games of the model itself: moving first is worth half a beta, the better half always moves first."""
    rng = np.random.default_rng(seed)
    skills = rng.normal(MU, SIGMA, players)
    names = [f"p{number}" for number in range(players)]
    counts: dict[tuple[str, str], list[int]] = {}
    for _ in range(games):
        first, second = sorted(rng.choice(players, 2, replace=False))
        difference = skills[first] - skills[second] + BETA / 2 + rng.normal(0, math.sqrt(2) * BETA)
        result = 0 if abs(difference) < 1 else 1 if difference > 0 else -1
        counts.setdefault((names[first], names[second]), [0, 0, 0])[1 - result] += 1
    return names, skills, {pair: Tally(*tally) for pair, tally in counts.items()}


def test_intervals_cover_the_truth() -> None:
    """Ninety-five in a hundred, though nobody ever changes seats; the advantage and the margin are found."""
    inside, posteriors = [], []
    for seed in range(40):
        names, skills, games = _simulate(seed)
        posterior = joint_posterior(names, games)
        posteriors.append(posterior)
        inside.append(np.abs(posterior.mu - (skills - skills.mean() + MU)) < 1.96 * posterior.sigma)
    assert 0.91 < np.mean(inside) < 0.98
    assert np.mean([posterior.advantage for posterior in posteriors]) == pytest.approx(BETA / 2, abs=0.25)
    assert np.mean([posterior.margin for posterior in posteriors]) == pytest.approx(1, abs=0.1)


def test_better_than_is_a_probability() -> None:
    """The share of draws from the posterior in which it is so; both ways round they make one."""
    names, _, games = _simulate(3)
    posterior = joint_posterior(names, games)
    drawn = np.random.default_rng(0).multivariate_normal(posterior.mean, posterior.covariance, 20_000)
    for one in range(len(names)):
        for other in range(one):
            better = posterior.probability_better(one, other)
            assert better + posterior.probability_better(other, one) == pytest.approx(1)
            assert better == pytest.approx((drawn[:, one] > drawn[:, other]).mean(), abs=0.02)
            assert (better > 0.5) == (posterior.mu[one] > posterior.mu[other])
    assert posterior.order == [names[row] for row in np.argsort(-posterior.mu)]
    assert posterior.order != sorted(names)


def test_a_warm_start_finds_the_same() -> None:
    """From nearly the same games, or from anywhere."""
    names, _, games = _simulate(5)
    fewer = joint_posterior(names, dict(list(games.items())[:10]))
    assert joint_posterior(names, games, fewer).mean == pytest.approx(joint_posterior(names, games).mean, abs=1e-7)


def test_lopsided_and_missing_games_have_an_answer() -> None:
    """A thousand wins and nothing else, no draw at all, nobody played."""
    lopsided = joint_posterior(["a", "b", "c"], {("a", "b"): Tally(10_000, 0, 0), ("b", "a"): Tally(0, 0, 10_000)})
    assert np.isfinite(lopsided.mean).all()
    assert (np.diagonal(lopsided.covariance) > 0).all()
    assert lopsided.mu[0] > lopsided.mu[2] > lopsided.mu[1]
    nobody = joint_posterior(["a", "b"], {})
    assert nobody.mu == pytest.approx([MU, MU])
    only_draws = joint_posterior(["a", "b"], {("a", "b"): Tally(0, 5000, 0)})
    assert only_draws.margin > BETA
