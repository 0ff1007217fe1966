"""The joint posterior: likelihood against quadrature, mode against an optimizer, single games against TrueSkill."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import trueskill
from scipy.optimize import minimize
from scipy.stats import gamma, norm

from connectfour.games.result import Result, Score
from connectfour.rating.likelihood import OutcomeTerms, draw_mass, draw_terms, loss_terms, win_terms
from connectfour.rating.posterior import BETA, MU, SIGMA, joint_posterior

Games = dict[tuple[str, str], Score]


@pytest.mark.parametrize("margin", [1e-9, 1e-6, 0.01, 0.4, 0.99, 1.01, 5.0])
def test_terms_of_draws_are_right_at_any_margin(margin: float) -> None:
    """The mass of N(gap, 1) within the margin and the derivatives of its logarithm agree with quadrature."""
    gap = np.array([-7.0, -1.0, 0.0, 0.02, 0.9, 1.1, 30.0])
    mass = draw_mass(gap, np.full(7, margin))
    nodes, weights = np.polynomial.legendre.leggauss(200)
    distance = margin * nodes
    for row, x in enumerate(gap):
        exponent = -((distance - x) ** 2) / 2
        top = exponent.max()
        part = weights * margin * np.exp(exponent - top) / math.sqrt(2 * math.pi)
        total = part.sum()
        mean = (part * distance).sum() / total
        variance = (part * (distance - mean) ** 2).sum() / total
        assert mass.log[row] == pytest.approx(math.log(total) + top, rel=1e-9)
        assert mass.shift[row] == pytest.approx(mean - x, rel=1e-7, abs=1e-7)
        assert mass.bend[row] == pytest.approx(variance - 1, rel=1e-6)
        for found, end in ((mass.upper, margin), (mass.lower, -margin)):
            density = math.exp(-((end - x) ** 2) / 2 - top) / math.sqrt(2 * math.pi)
            assert found[row] == pytest.approx(density / total, rel=1e-7, abs=1e-12)


@pytest.mark.parametrize("terms", [win_terms, draw_terms, loss_terms])
@pytest.mark.parametrize("margin", [0.05, 0.8, 3.0])
def test_derivatives_are_those_of_the_log_probability(terms: Callable[..., OutcomeTerms], margin: float) -> None:
    """Each agrees with central differences; the three probabilities sum to one."""
    gap, margins, step = np.array([-4.0, -0.7, 0.0, 0.3, 5.0]), np.full(5, margin), 1e-5
    here = terms(gap, margins)
    right, left = terms(gap + step, margins), terms(gap - step, margins)
    wide, narrow = terms(gap, margins + step), terms(gap, margins - step)
    for found, above, below in (
        (here.by_gap, right.log_p, left.log_p),
        (here.by_margin, wide.log_p, narrow.log_p),
        (here.by_gap_gap, right.by_gap, left.by_gap),
        (here.by_gap_margin, wide.by_gap, narrow.by_gap),
        (here.by_gap_margin, right.by_margin, left.by_margin),
        (here.by_margin_margin, wide.by_margin, narrow.by_margin),
    ):
        assert found == pytest.approx((above - below) / (2 * step), rel=1e-5, abs=1e-7)
    assert sum(np.exp(each(gap, margins).log_p) for each in (win_terms, draw_terms, loss_terms)) == pytest.approx(1)


def _counts(score: Score) -> tuple[int, int, int]:
    return score.wins, score.draws, score.losses


def _log_posterior(point: np.ndarray, names: list[str], games: Games) -> float:
    """The model as it is defined, regardless of rounding."""
    *skills, advantage, margin = point
    if margin <= 0:
        return -math.inf
    total = norm.logpdf(skills, MU, SIGMA).sum() + norm.logpdf(advantage, 0, BETA)
    total += math.log(margin) - 2 * margin / (BETA / 2)
    for (first, second), score in games.items():
        gap = skills[names.index(first)] - skills[names.index(second)] + advantage
        spread = math.sqrt(2) * BETA
        lost, not_won = norm.cdf((-margin - gap) / spread), norm.cdf((margin - gap) / spread)
        for count, probability in zip(_counts(score), (1 - not_won, not_won - lost, lost), strict=True):
            total += count * math.log(max(probability, 1e-300))
    return float(total)


def test_the_joint_posterior_is_the_models_mode_with_its_curvature() -> None:
    """SciPy's optimizer finds the same mode, second differences the same curvature."""
    names = ["a", "b", "c"]
    games = {
        ("a", "b"): Score(6, 2, 3),
        ("b", "a"): Score(4, 1, 5),
        ("b", "c"): Score(7, 0, 1),
        ("c", "a"): Score(1, 1, 4),
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


def _simulate(seed: int, players: int = 8, games: int = 600) -> tuple[list[str], np.ndarray, Games]:
    """Games of the model itself: moving first is worth half a beta, and of two players the same one always does."""
    rng = np.random.default_rng(seed)
    skills = rng.normal(MU, SIGMA, players)
    names = [f"p{number}" for number in range(players)]
    scores: Games = {}
    for _ in range(games):
        first, second = sorted(rng.choice(players, 2, replace=False))
        difference = skills[first] - skills[second] + BETA / 2 + rng.normal(0, math.sqrt(2) * BETA)
        result = Result.DRAW if abs(difference) < 1 else Result.of(difference)
        seating = names[first], names[second]
        scores[seating] = scores.get(seating, Score()) + Score.of(result)
    return names, skills, scores


def test_intervals_cover_the_truth() -> None:
    """In 95 of 100 cases, though seats never change; the advantage and the margin are recovered."""
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
    """It is the share of samples from the posterior in which the one is better; both ways sum to one."""
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


def test_a_warm_start_finds_the_same_posterior() -> None:
    """From the posterior of some of the games."""
    names, _, games = _simulate(5)
    fewer = joint_posterior(names, dict(list(games.items())[:10]))
    assert joint_posterior(names, games, fewer).mean == pytest.approx(joint_posterior(names, games).mean, abs=1e-7)


def test_lopsided_and_missing_games_have_an_answer() -> None:
    """Thousands of wins and nothing else, draws and nothing else, no games at all."""
    lopsided = joint_posterior(["a", "b", "c"], {("a", "b"): Score(10_000, 0, 0), ("b", "a"): Score(0, 0, 10_000)})
    assert np.isfinite(lopsided.mean).all()
    assert (np.diagonal(lopsided.covariance) > 0).all()
    assert lopsided.mu[0] > lopsided.mu[2] > lopsided.mu[1]
    nobody = joint_posterior(["a", "b"], {})
    assert nobody.mu == pytest.approx([MU, MU])
    only_draws = joint_posterior(["a", "b"], {("a", "b"): Score(0, 5000, 0)})
    assert only_draws.margin > BETA


def _rate_by_package(
    first: tuple[float, float], second: tuple[float, float], result: Result, margin: float, beta: float
) -> list[tuple[float, float]]:
    """Mu and sigma of both players after one game, by TrueSkill's moment matching."""
    draw_probability = 2 * norm.cdf(margin / (math.sqrt(2) * beta)) - 1
    rules = trueskill.TrueSkill(MU, SIGMA, beta, tau=0, draw_probability=draw_probability, backend="scipy")
    before = [rules.create_rating(*first), rules.create_rating(*second)]
    if result is Result.LOSS:
        after = rules.rate_1vs1(*before[::-1])[::-1]
    else:
        after = rules.rate_1vs1(*before, drawn=result is Result.DRAW)
    return [(rating.mu, rating.sigma) for rating in after]


def _integrate(result: Result) -> list[tuple[float, float]]:
    """Mean and deviation of both skills after one game between new players, by integration.

    The result depends on the margin and on the gap: the difference of the skills plus the advantage. Before the game
    the gap is N(0, 2 sigma^2 + beta^2), and its regression on each skill stays as it was.
    """
    variance = 2 * SIGMA**2 + BETA**2
    gaps = np.linspace(-8, 8, 1001)[:, None] * math.sqrt(variance)
    margins = np.linspace(0, 12 * BETA, 800)[None, 1:]
    spread = math.sqrt(2) * BETA
    won, lost = norm.cdf((gaps - margins) / spread), norm.cdf((-gaps - margins) / spread)
    likelihood = {Result.WIN: won, Result.DRAW: 1 - won - lost, Result.LOSS: lost}[result]
    weight = norm.pdf(gaps, 0, math.sqrt(variance)) * gamma.pdf(margins, 2, scale=BETA / 4) * likelihood
    weight /= weight.sum()
    gap = float((weight * gaps).sum())
    gap_variance = float((weight * (gaps - gap) ** 2).sum())
    slope = SIGMA**2 / variance
    sigma = math.sqrt(SIGMA**2 - slope**2 * (variance - gap_variance))
    return [(MU + slope * gap, sigma), (MU - slope * gap, sigma)]


@pytest.mark.parametrize("result", Result)
def test_a_single_game_of_new_players_agrees_with_integration_and_the_package(result: Result) -> None:
    """One result is the hardest case: after a win the exact posterior is skewed, so its mode lags behind its mean."""
    posterior = joint_posterior(["one", "other"], {("one", "other"): Score.of(result)})
    exact = _integrate(result)
    # To the package, which knows no advantage, it is a part of the noise: beta^2 more in both performances together.
    package = _rate_by_package((MU, SIGMA), (MU, SIGMA), result, posterior.margin, math.sqrt(1.5) * BETA)
    deviations = np.sqrt(np.diagonal(posterior.covariance))
    for player, reference in ((row, each[row]) for each in (exact, package) for row in (0, 1)):
        mu, sigma = reference
        assert deviations[player] == pytest.approx(sigma, rel=0.03)
        assert posterior.mean[player] == pytest.approx(mu, abs=0.2 * sigma)
    for ours, theirs in zip(exact, package, strict=True):
        assert ours == pytest.approx(theirs, rel=0.02), "both references are the same model"


@pytest.mark.parametrize("result", Result)
@pytest.mark.parametrize("games", [40, 400])
def test_one_more_game_moves_the_posterior_as_the_package_does(result: Result, games: int) -> None:
    """Once games are known, the posterior is nearly normal, and Laplace and moment matching agree."""
    names, _, scores = _simulate(2, players=4, games=games)
    before = joint_posterior(names, scores)
    first, second = before.order[1:3]
    more = {**scores, (first, second): scores.get((first, second), Score()) + Score.of(result)}
    after = joint_posterior(names, more)
    weights = np.zeros(len(names) + 2)
    weights[[names.index(first), names.index(second), -2]] = (
        1,
        -1,
        1,
    )  # the gap: difference of the skills plus advantage
    gap, variance = float(weights @ before.mean), float(weights @ before.covariance @ weights)
    # Two ratings with the gap's mean and variance; their sum keeps its variance.
    sigma = math.sqrt(variance / 2)
    (mu_first, sigma_first), (mu_second, _) = _rate_by_package((gap, sigma), (0, sigma), result, before.margin, BETA)
    assert weights @ after.mean - gap == pytest.approx(mu_first - mu_second - gap, abs=0.05 * math.sqrt(variance))
    assert weights @ after.covariance @ weights == pytest.approx(4 * sigma_first**2 - variance, rel=0.02)


def test_a_game_of_a_player_with_itself_says_nothing_about_its_skill() -> None:
    """The difference of the skills is 0 whatever they are; the package takes the second copy for another player."""
    played = joint_posterior(["a", "b"], {("a", "a"): Score(wins=5, draws=40, losses=3)})
    unplayed = joint_posterior(["a", "b"], {})
    assert played.mu == pytest.approx(unplayed.mu)
    assert played.sigma == pytest.approx(unplayed.sigma)
    assert played.margin > unplayed.margin, "of the draws of equals it does say something"
    package = trueskill.TrueSkill(MU, SIGMA, BETA, tau=0)
    new, known = package.create_rating(), package.create_rating(MU, 1e-6)
    assert package.quality_1vs1(new, new) == pytest.approx(0.447, abs=5e-4)
    assert package.quality_1vs1(known, known) == pytest.approx(1)
    assert max(rating.sigma for rating in package.rate_1vs1(new, new, drawn=True)) < 6.5
