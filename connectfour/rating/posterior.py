"""The joint posterior of all games at once, under TrueSkill's model of two players.

The model: Herbrich, Minka & Graepel 2006, "TrueSkill: a Bayesian skill rating system". A player's skill has the
prior N(25, (25/3)^2). In a game, the difference of the performances is

    d = skill of first - skill of second + advantage of moving first + N(0, 2 * beta^2),    beta = 25/6,

and the first player wins if d > margin, draws if |d| <= margin, and loses otherwise.

``joint_posterior`` finds the mode of all skills, the advantage and the margin together, and puts a normal approximation
around it (Laplace). Unlike TrueSkill's sequential updates, it does not depend on the order of the games.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from connectfour.games.result import Score
from connectfour.rating.likelihood import OutcomeTerms, draw_terms, loss_terms, win_terms

MU = 25.0
SIGMA = MU / 3
BETA = SIGMA / 2

PERFORMANCE_DEVIATION = math.sqrt(2) * BETA
"""Standard deviation of the difference of two performances."""

_MARGIN_SHAPE, _MARGIN_MEAN = 2.0, BETA / 2
_ADVANTAGE, _MARGIN = -2, -1  # coordinates of a point; the skills come before them

_MOST_STEPS, _MOST_HALVINGS = 100, 33
_SHORTEST_STEP = 1e-9
_ROUNDING = 1e-12

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class JointPosterior:
    """What all games together say about the skills, the advantage of moving first and the margin.

    Attributes:
        players: names, in the order of the axes.
        mean: the most probable skills, then the advantage, then the margin; (players + 2,).
        covariance: of the normal approximation around it, (players + 2, players + 2).
    """

    players: tuple[str, ...]
    mean: Vector
    covariance: Matrix

    @property
    def mu(self) -> Vector:
        """The skills, (players,), shifted to a mean of 25: games determine differences only."""
        skills = self.mean[:_ADVANTAGE]
        mu: Vector = skills - skills.mean() + MU
        return mu

    @property
    def sigma(self) -> Vector:
        """The standard deviations of ``mu``, (players,)."""
        count = len(self.players)
        centering = np.eye(count) - 1 / count
        variances = np.diagonal(centering @ self.covariance[:_ADVANTAGE, :_ADVANTAGE] @ centering)
        sigma: Vector = np.sqrt(np.maximum(variances, 0))
        return sigma

    @property
    def order(self) -> list[str]:
        """The players, the strongest first."""
        return [self.players[row] for row in np.lexsort((np.arange(len(self.players)), -self.mu)).tolist()]

    @property
    def advantage(self) -> float:
        """What moving first is worth, in units of skill."""
        return float(self.mean[_ADVANTAGE])

    @property
    def margin(self) -> float:
        """Half width of the performance differences that are draws."""
        return float(self.mean[_MARGIN])

    def probability_better(self, one: int, other: int) -> float:
        """Return the probability that the skill of player ``one`` (an index) is above that of ``other``."""
        variance = self.covariance[one, one] + self.covariance[other, other] - 2 * self.covariance[one, other]
        return float(ndtr((self.mean[one] - self.mean[other]) / math.sqrt(max(variance, 1e-12))))


@dataclass(frozen=True)
class _Expansion:
    """A log density at a point, up to a constant, with its gradient (n,) and Hessian (n, n)."""

    value: float
    gradient: Vector
    hessian: Matrix

    def __add__(self, other: _Expansion) -> _Expansion:
        return _Expansion(self.value + other.value, self.gradient + other.gradient, self.hessian + other.hessian)


@dataclass(frozen=True)
class _Games:
    """All games by seating: the results of each, and how the gap depends on a point.

    Attributes:
        counts: wins, draws and losses of the first player, (seatings, 3).
        slopes: derivative of the expected performance gap by each coordinate, (seatings, players + 2).
    """

    counts: Matrix
    slopes: Matrix

    @classmethod
    def of(cls, players: Sequence[str], scores: Mapping[tuple[str, str], Score]) -> _Games:
        played = sorted(seating for seating, score in scores.items() if score.games)
        counts = [(score.wins, score.draws, score.losses) for score in map(scores.__getitem__, played)]
        column = {name: number for number, name in enumerate(players)}
        slopes = np.zeros((len(played), len(players) + 2))
        for row, (first, second) in enumerate(played):
            slopes[row, column[first]] += 1
            slopes[row, column[second]] -= 1
        slopes[:, _ADVANTAGE] = 1
        return cls(np.array(counts, dtype=np.float64).reshape(-1, 3), slopes)


def joint_posterior(
    players: Sequence[str], scores: Mapping[tuple[str, str], Score], start: JointPosterior | None = None
) -> JointPosterior:
    """Return the joint posterior of ``players``.

    The advantage has the prior N(0, beta^2), the margin a gamma distribution of shape 2 and mean beta / 2. The log
    posterior is concave: Newton's method with step halving finds its only mode.

    Args:
        players: names.
        scores: score of the player who moved first, by (first, second).
        start: the posterior of nearly the same games, as a closer starting point.
    """
    games = _Games.of(players, scores)
    if start and start.players == tuple(players):
        point = start.mean
    else:
        point = np.array([*[MU] * len(players), 0.0, _MARGIN_MEAN])
    here = _log_posterior(point, games)
    for _ in range(_MOST_STEPS):
        newton = np.asarray(np.linalg.solve(here.hessian, -here.gradient), dtype=np.float64)
        climbed = _climb(point, here, _keep_margin_positive(point, newton), games)
        if climbed is None:
            break
        last, (point, here) = point, climbed
        if np.abs(point - last).max() < _SHORTEST_STEP:
            break
    covariance = np.asarray(np.linalg.inv(-here.hessian), dtype=np.float64)
    return JointPosterior(tuple(players), point, covariance)


def _keep_margin_positive(point: Vector, step: Vector) -> Vector:
    """Shorten ``step`` so that it reduces the margin by at most 90%."""
    return step * min(1.0, 0.9 * point[_MARGIN] / -step[_MARGIN]) if step[_MARGIN] < 0 else step


def _climb(point: Vector, here: _Expansion, step: Vector, games: _Games) -> tuple[Vector, _Expansion] | None:
    """Move along ``step``, halved until the density does not fall; None if it falls at every step length."""
    least = here.value - _ROUNDING * abs(here.value)
    for _ in range(_MOST_HALVINGS):
        there = _log_posterior(point + step, games)
        if there.value >= least:
            return point + step, there
        step = step / 2
    return None


def _log_posterior(point: Vector, games: _Games) -> _Expansion:
    return _log_prior(point) + _log_likelihood(point, games)


def _log_prior(point: Vector) -> _Expansion:
    """Expand the prior: normal in skills and advantage, gamma in the margin."""
    mean = np.full(len(point), MU)
    mean[_ADVANTAGE] = 0
    precision = np.full(len(point), SIGMA**-2)
    precision[_ADVANTAGE] = BETA**-2
    precision[_MARGIN] = 0
    normal = _Expansion(-0.5 * float(precision @ (point - mean) ** 2), -precision * (point - mean), np.diag(-precision))
    margin, power, rate = point[_MARGIN], _MARGIN_SHAPE - 1, _MARGIN_SHAPE / _MARGIN_MEAN
    gamma = _Expansion(power * math.log(margin) - rate * margin, np.zeros(len(point)), np.zeros_like(normal.hessian))
    gamma.gradient[_MARGIN] = power / margin - rate
    gamma.hessian[_MARGIN, _MARGIN] = -power / margin**2
    return normal + gamma


def _log_likelihood(point: Vector, games: _Games) -> _Expansion:
    """Expand the probability of all games: sum their terms by gap and margin, and apply the chain rule."""
    gap_slopes, margin_slope = games.slopes / PERFORMANCE_DEVIATION, 1 / PERFORMANCE_DEVIATION
    terms = _sum_by_seating(gap_slopes @ point, point[_MARGIN] * margin_slope, games.counts)
    gradient = gap_slopes.T @ terms.by_gap
    gradient[_MARGIN] += margin_slope * terms.by_margin.sum()
    hessian = gap_slopes.T @ (terms.by_gap_gap[:, None] * gap_slopes)
    mixed = margin_slope * (gap_slopes.T @ terms.by_gap_margin)
    hessian[_MARGIN, :] += mixed
    hessian[:, _MARGIN] += mixed
    hessian[_MARGIN, _MARGIN] += margin_slope**2 * terms.by_margin_margin.sum()
    return _Expansion(float(terms.log_p.sum()), gradient, hessian)


def _sum_by_seating(gap: Vector, margin: float, counts: Matrix) -> OutcomeTerms:
    """Return the terms summed over each seating's games, which share one ``gap`` (seatings,)."""
    margins = np.full_like(gap, margin)
    wins, draws, losses = counts.T
    return (
        win_terms(gap, margins).times(wins)
        + draw_terms(gap, margins).times(draws)
        + loss_terms(gap, margins).times(losses)
    )
