"""TrueSkill for two players: one closed-form update per game, and the joint posterior of all games at once.

The model (Herbrich, Minka & Graepel 2006, "TrueSkill: a Bayesian skill rating system"). A player's skill has the prior
N(25, (25/3)^2). In a game the difference of the performances is

    d = skill of first - skill of second + advantage of moving first + N(0, 2 * beta^2),    beta = 25/6,

and the first player wins if d > margin, draws if |d| <= margin, loses otherwise.

``update`` is the classical sequential rule (no advantage, no drift: frozen policies stay as strong as they are); what
it says depends on the order of the games. ``JointPosterior`` does not: it is the mode of all skills, the advantage and
the margin together, with a normal approximation around it (Laplace).

Everything is computed from scaled Mills ratios (``erfcx``), so that it holds at any gap and for any margin.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfcx, log_ndtr, ndtr

MU = 25.0
SIGMA = MU / 3
BETA = SIGMA / 2

Floats = NDArray[np.float64]

_PERFORMANCE = math.sqrt(2) * BETA
_SQRT2 = math.sqrt(2)
_PHI = 1 / math.sqrt(2 * math.pi)
_MILLS = math.sqrt(math.pi / 2)

# Beyond it the variance that is left is less than what rounding makes of it.
_GREAT_UPSET = 1e4

# Nodes enough for exp(k * y) with |k| <= 1 on [-1, 1] to full precision.
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(12)
_NODE_PAIRS = tuple(zip(_NODES.tolist(), _WEIGHTS.tolist(), strict=True))


class Rating(NamedTuple):
    """A normal belief about a skill."""

    mu: float = MU
    sigma: float = SIGMA


def update(first: Rating, second: Rating, result: int, margin: float) -> tuple[Rating, Rating]:
    """Return both ratings after one game.

    Args:
        first: rating of one player.
        second: rating of the other.
        result: 1 if ``first`` won, 0 for a draw, -1 if it lost.
        margin: half width of the performance differences that are draws, > 0.
    """
    if result < 0:
        second, first = update(second, first, 1, margin)
        return first, second
    variances = first.sigma**2, second.sigma**2
    scale = math.sqrt(2 * BETA**2 + sum(variances))
    gap = (first.mu - second.mu) / scale
    shift, shrink = _won(gap - margin / scale) if result else _drawn(gap, margin / scale)
    after = [
        Rating(
            rating.mu + sign * variance / scale * shift,
            rating.sigma * math.sqrt(max(0.0, 1 - variance / scale**2 * shrink)),
        )
        for rating, variance, sign in zip((first, second), variances, (1, -1), strict=True)
    ]
    return after[0], after[1]


def _won(gap: float) -> tuple[float, float]:
    """Return how far N(gap, 1) shifts, and by how much its variance shrinks, once it is known to be positive."""
    shift = 1 / (_MILLS * float(erfcx(-gap / _SQRT2)))
    return shift, shift * (shift + gap) if gap > -_GREAT_UPSET else 1.0


def _drawn(gap: float, margin: float) -> tuple[float, float]:
    """Return the same of N(gap, 1) once it is known to lie within ``margin`` of 0."""
    if gap < 0:
        shift, shrink = _drawn(-gap, margin)
        return -shift, shrink
    if margin < 0.05 and gap * margin < 1:  # the differences below would drown in rounding
        mass = mean = square = 0.0
        for node, weight in _NODE_PAIRS:
            distance = margin * node
            part = weight * math.exp(distance * (gap - distance / 2))
            mass += part
            mean += part * distance
            square += part * distance * distance
        mean /= mass
        return mean - gap, 1 - (square / mass - mean * mean)
    below, above = gap - margin, gap + margin
    if below > 0:
        decay = math.exp(-2 * gap * margin)
        mass = _MILLS * (float(erfcx(below / _SQRT2)) - decay * float(erfcx(above / _SQRT2)))
        lower, upper = 1 / mass, decay / mass
    else:
        mass = 0.5 * (math.erf(above / _SQRT2) - math.erf(below / _SQRT2))
        lower, upper = _PHI * math.exp(-below * below / 2) / mass, _PHI * math.exp(-above * above / 2) / mass
    shift = upper - lower
    return shift, shift * shift + above * upper - below * lower if gap < _GREAT_UPSET else 1.0


class Tally(NamedTuple):
    """Games of one pair, by who moved first: how often the first won, drew and lost."""

    wins: int
    draws: int
    losses: int


@dataclass(frozen=True)
class JointPosterior:
    """What all games together say.

    Attributes:
        players: names, in the order of the axes.
        mean: the most probable skills, then the advantage of moving first, then the margin; (players + 2,).
        covariance: of the normal around it, (players + 2, players + 2).
    """

    players: tuple[str, ...]
    mean: Floats
    covariance: Floats

    @property
    def mu(self) -> Floats:
        """The skills, (players,), relative to their mean, which is put at 25: games tell differences only."""
        skills = self.mean[:-2]
        mu: Floats = skills - skills.mean() + MU
        return mu

    @property
    def sigma(self) -> Floats:
        """Their standard deviations, (players,)."""
        count = len(self.players)
        centre = np.eye(count) - 1 / count
        variances = np.diagonal(centre @ self.covariance[:-2, :-2] @ centre)
        sigma: Floats = np.sqrt(np.maximum(variances, 0))
        return sigma

    @property
    def order(self) -> list[str]:
        """The players, the strongest first."""
        return [self.players[row] for row in np.lexsort((np.arange(len(self.players)), -self.mu)).tolist()]

    @property
    def advantage(self) -> float:
        """What moving first is worth, in units of skill."""
        return float(self.mean[-2])

    @property
    def margin(self) -> float:
        """Half width of the performance differences that are draws."""
        return float(self.mean[-1])

    def probability_better(self, one: int, other: int) -> float:
        """Return the probability that the skill of player ``one`` (an index) is above that of ``other``."""
        spread = self.covariance[one, one] + self.covariance[other, other] - 2 * self.covariance[one, other]
        return float(ndtr((self.mean[one] - self.mean[other]) / math.sqrt(max(spread, 1e-12))))


def joint_posterior(
    players: Sequence[str], games: Mapping[tuple[str, str], Tally], start: JointPosterior | None = None
) -> JointPosterior:
    """Return the joint posterior of ``players`` after ``games``, keyed by (who moved first, who second).

    The advantage has the prior N(0, beta^2), the margin a gamma distribution of shape 2 and mean beta / 2. The
    posterior is log-concave, so Newton's method with halved steps finds its only mode; from the posterior of nearly
    the same games, ``start``, it does so sooner.
    """
    index = {name: number for number, name in enumerate(players)}
    pairs = sorted(pair for pair, tally in games.items() if sum(tally))
    first = np.array([index[pair[0]] for pair in pairs], dtype=np.int64)
    second = np.array([index[pair[1]] for pair in pairs], dtype=np.int64)
    counts = np.array([games[pair] for pair in pairs], dtype=np.float64).reshape(-1, 3)
    if start and start.players == tuple(players):
        point = start.mean
    else:
        point = np.array([*[MU] * len(players), 0.0, BETA / 2])
    value, gradient, hessian = _log_posterior(point, first, second, counts)
    for _ in range(100):
        step = np.linalg.solve(hessian, -gradient)
        # The margin stays positive.
        rate = min(1.0, 0.9 * point[-1] / -step[-1]) if step[-1] < 0 else 1.0
        while rate > 1e-10:
            moved = point + rate * step
            found = _log_posterior(moved, first, second, counts)
            if found[0] >= value - 1e-12 * abs(value):
                break
            rate /= 2
        else:
            break
        point, (value, gradient, hessian) = moved, found
        if np.abs(rate * step).max() < 1e-9:
            break
    covariance = np.asarray(np.linalg.inv(-hessian), dtype=np.float64)
    return JointPosterior(tuple(players), point, covariance)


_MARGIN_SHAPE, _MARGIN_MEAN = 2.0, BETA / 2


def _log_posterior(
    point: Floats, first: NDArray[np.int64], second: NDArray[np.int64], counts: Floats
) -> tuple[float, Floats, Floats]:
    """Return the log density at ``point``, up to a constant, with gradient and Hessian."""
    size = len(point)
    prior_mean = np.full(size, MU)
    prior_mean[-2:] = 0
    precision = np.full(size, SIGMA**-2)
    precision[-2], precision[-1] = BETA**-2, 0
    away = point - prior_mean
    margin = point[-1]
    rate = _MARGIN_SHAPE / _MARGIN_MEAN
    value = -0.5 * float(precision @ away**2) + (_MARGIN_SHAPE - 1) * math.log(margin) - rate * margin
    gradient = -precision * away
    gradient[-1] += (_MARGIN_SHAPE - 1) / margin - rate
    hessian = np.diag(-precision)
    hessian[-1, -1] -= (_MARGIN_SHAPE - 1) / margin**2

    gap = (point[first] - point[second] + point[-2]) / _PERFORMANCE
    scaled_margin = np.full_like(gap, margin / _PERFORMANCE)
    likelihood = _log_likelihood(gap, scaled_margin)
    # Per game: log probability, its derivatives by gap and margin, and the three second ones.
    log_p, by_gap, by_margin, gap_gap, gap_margin, margin_margin = (
        (counts * np.stack(terms, axis=1)).sum(axis=1) for terms in likelihood
    )
    value += float(log_p.sum())
    by_gap, by_margin = by_gap / _PERFORMANCE, by_margin / _PERFORMANCE
    gap_gap, gap_margin, margin_margin = (second / _PERFORMANCE**2 for second in (gap_gap, gap_margin, margin_margin))
    rows = np.arange(len(first))
    slope = np.zeros((len(first), size))  # of each gap by each coordinate
    slope[rows, first] += 1
    slope[rows, second] -= 1
    slope[:, -2] = 1
    gradient += slope.T @ by_gap
    gradient[-1] += by_margin.sum()
    hessian += slope.T @ (gap_gap[:, None] * slope)
    cross = slope.T @ gap_margin
    hessian[-1, :] += cross
    hessian[:, -1] += cross
    hessian[-1, -1] += margin_margin.sum()
    return value, gradient, hessian


_Terms = tuple[Floats, Floats, Floats]


def _log_likelihood(gap: Floats, margin: Floats) -> tuple[_Terms, _Terms, _Terms, _Terms, _Terms, _Terms]:
    """Return, each for win, draw and loss of the first: log p, d/dgap, d/dmargin, and the three second derivatives.

    ``gap`` and ``margin`` are in units of the standard deviation of the performance difference.
    """
    won, lost = gap - margin, -gap - margin
    won_slope, lost_slope = _hazard(won), _hazard(lost)
    won_bend, lost_bend = -won_slope * (won_slope + won), -lost_slope * (lost_slope + lost)
    log_draw, lower, upper, shift, gap_gap = _draw_terms(gap, margin)
    width = lower + upper
    towards, away = margin - gap, margin + gap
    return (
        (log_ndtr(won), log_draw, log_ndtr(lost)),
        (won_slope, shift, -lost_slope),
        (-won_slope, width, -lost_slope),
        (won_bend, gap_gap, lost_bend),
        (-won_bend, towards * lower - away * upper - shift * width, lost_bend),
        (won_bend, -towards * lower - away * upper - width**2, lost_bend),
    )


def _hazard(t: Floats) -> Floats:
    """Return the normal density at ``t`` over its distribution function, to full precision at any ``t``."""
    with np.errstate(over="ignore"):
        hazard: Floats = 1 / (_MILLS * erfcx(-t / _SQRT2))
    return hazard


def _draw_terms(gap: Floats, margin: Floats) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """Return log Z of the mass Z of N(gap, 1) within ``margin`` of 0, with what its derivatives are made of.

    Returns:
        log Z, phi(margin - gap) / Z, phi(margin + gap) / Z, and the first and second derivative of log Z by gap.
    """
    x = np.abs(gap)
    log_z, near, far, shift, bend = (np.empty_like(x) for _ in range(5))
    small = (margin < 1) & (x * margin < 1)
    a, k = margin[small, None], x[small, None]
    parts = _WEIGHTS * np.exp(a * _NODES * (k - a * _NODES / 2))
    mass = parts.sum(axis=1)
    mean = (parts * a * _NODES).sum(axis=1) / mass
    square = (parts * (a * _NODES) ** 2).sum(axis=1) / mass
    a, k = a[:, 0], k[:, 0]
    log_z[small] = np.log(_PHI * a * mass) - k**2 / 2
    near[small], far[small] = (np.exp(sign * k * a - a**2 / 2) / (a * mass) for sign in (1, -1))
    shift[small], bend[small] = mean - k, square - mean**2 - 1

    large = ~small
    below, above = x[large] - margin[large], x[large] + margin[large]
    outside = below > 0
    decay = np.exp(-2 * x[large] * margin[large])
    ratio = _MILLS * (erfcx(np.maximum(below, 0) / _SQRT2) - decay * erfcx(above / _SQRT2))
    inside = ndtr(above) - ndtr(np.minimum(below, 0))
    density_below, density_above = (_PHI * np.exp(-(end**2) / 2) for end in (below, above))
    log_z[large] = np.where(outside, math.log(_PHI) - below**2 / 2 + np.log(ratio), np.log(inside))
    near[large] = np.where(outside, 1 / ratio, density_below / inside)
    far[large] = np.where(outside, decay / ratio, density_above / inside)
    shift[large] = far[large] - near[large]
    bend[large] = below * near[large] - above * far[large] - shift[large] ** 2

    mirrored = gap < 0
    return log_z, np.where(mirrored, far, near), np.where(mirrored, near, far), np.where(mirrored, -shift, shift), bend
