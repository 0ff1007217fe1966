"""The log probability of a game's result under TrueSkill's model, with its derivatives, exact at any gap and margin.

The difference of the performances, in units of its standard deviation, is N(gap, 1). The first player wins above the
margin, draws within it, and loses below its negative. Tails are computed from scaled Mills ratios (``erfcx``), so that
nothing underflows, and narrow draws by quadrature, so that nothing cancels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfcx, log_ndtr, ndtr

_SQRT2 = math.sqrt(2)
_PEAK = 1 / math.sqrt(2 * math.pi)
_MILLS = math.sqrt(math.pi / 2)

# Enough nodes to integrate exp(k * y), |k| <= 1, over [-1, 1] to full precision.
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(12)

PerGame = NDArray[np.float64]


@dataclass(frozen=True)
class OutcomeTerms:
    """Log probabilities of N results with their first and second derivatives by gap and margin, each (N,)."""

    log_p: PerGame
    by_gap: PerGame
    by_margin: PerGame
    by_gap_gap: PerGame
    by_gap_margin: PerGame
    by_margin_margin: PerGame

    def times(self, games: PerGame) -> OutcomeTerms:
        """Return the terms of ``games`` (N,) games that ended like this."""
        return OutcomeTerms(*(games * term for term in vars(self).values()))

    def __add__(self, other: OutcomeTerms) -> OutcomeTerms:
        """Return the terms of both."""
        return OutcomeTerms(*(one + two for one, two in zip(vars(self).values(), vars(other).values(), strict=True)))


def win_terms(gap: PerGame, margin: PerGame) -> OutcomeTerms:
    """Return the terms of N wins of the first player."""
    return _tail_terms(gap, margin, sign=1)


def loss_terms(gap: PerGame, margin: PerGame) -> OutcomeTerms:
    """Return the terms of N losses of the first player."""
    return _tail_terms(gap, margin, sign=-1)


def _tail_terms(gap: PerGame, margin: PerGame, sign: int) -> OutcomeTerms:
    """Return the terms of ``sign * d > margin``, whose probability is the normal distribution function of ``t``."""
    t = sign * gap - margin
    with np.errstate(over="ignore"):
        slope = 1 / (_MILLS * erfcx(-t / _SQRT2))  # normal density at t over its distribution function
    bend = -slope * (slope + t)
    return OutcomeTerms(log_ndtr(t), sign * slope, -slope, bend, -sign * bend, bend)


def draw_terms(gap: PerGame, margin: PerGame) -> OutcomeTerms:
    """Return the terms of N draws."""
    mass = draw_mass(gap, margin)
    width = mass.upper + mass.lower
    upper_slope, lower_slope = (margin - gap) * mass.upper, (margin + gap) * mass.lower
    return OutcomeTerms(
        log_p=mass.log,
        by_gap=mass.shift,
        by_margin=width,
        by_gap_gap=mass.bend,
        by_gap_margin=upper_slope - lower_slope - mass.shift * width,
        by_margin_margin=-upper_slope - lower_slope - width**2,
    )


class DrawMass(NamedTuple):
    """The mass Z of N(gap, 1) within ``margin`` of 0; each (N,).

    Attributes:
        log: log Z.
        upper: density at ``margin`` over Z.
        lower: density at ``-margin`` over Z.
        shift: first derivative of log Z by gap: mean of the truncated normal, less ``gap``.
        bend: second derivative of log Z by gap: variance of the truncated normal, less 1.
    """

    log: PerGame
    upper: PerGame
    lower: PerGame
    shift: PerGame
    bend: PerGame


def draw_mass(gap: PerGame, margin: PerGame) -> DrawMass:
    """Return the mass of N draws; gaps below 0 mirror those above."""
    distance = np.abs(gap)
    narrow = (margin < 1) & (distance * margin < 1)
    mass = DrawMass(*(np.empty_like(gap) for _ in DrawMass._fields))
    for where, compute in ((narrow, _narrow_draw_mass), (~narrow, _wide_draw_mass)):
        for term, values in zip(mass, compute(distance[where], margin[where]), strict=True):
            term[where] = values
    mirrored = gap < 0
    return DrawMass(
        log=mass.log,
        upper=np.where(mirrored, mass.lower, mass.upper),
        lower=np.where(mirrored, mass.upper, mass.lower),
        shift=np.where(mirrored, -mass.shift, mass.shift),
        bend=mass.bend,
    )


def _narrow_draw_mass(gap: PerGame, margin: PerGame) -> DrawMass:
    """Integrate the density relative to the one at 0; for gap >= 0 and gap * margin < 1."""
    differences = margin[:, None] * _NODES
    parts = _WEIGHTS * np.exp(differences * (gap[:, None] - differences / 2))
    relative_mass = parts.sum(axis=1)
    mean = (parts * differences).sum(axis=1) / relative_mass
    square = (parts * differences**2).sum(axis=1) / relative_mass
    return DrawMass(
        log=np.log(_PEAK * margin * relative_mass) - gap**2 / 2,
        upper=np.exp(gap * margin - margin**2 / 2) / (margin * relative_mass),
        lower=np.exp(-gap * margin - margin**2 / 2) / (margin * relative_mass),
        shift=mean - gap,
        bend=square - mean**2 - 1,
    )


def _wide_draw_mass(gap: PerGame, margin: PerGame) -> DrawMass:
    """Take the difference of the tails beyond both ends of the interval; for gap >= 0."""
    near, far = gap - margin, gap + margin  # distances from the ends
    outside = near > 0  # both tails may underflow, but their Mills ratios do not
    decay = np.exp(-2 * gap * margin)  # density at the far end over the density at the near end
    ratio = _MILLS * (erfcx(np.maximum(near, 0) / _SQRT2) - decay * erfcx(far / _SQRT2))
    inside_mass = ndtr(far) - ndtr(np.minimum(near, 0))
    upper = np.where(outside, 1 / ratio, _PEAK * np.exp(-(near**2) / 2) / inside_mass)
    lower = np.where(outside, decay / ratio, _PEAK * np.exp(-(far**2) / 2) / inside_mass)
    shift = lower - upper
    return DrawMass(
        log=np.where(outside, math.log(_PEAK) - near**2 / 2 + np.log(ratio), np.log(inside_mass)),
        upper=upper,
        lower=lower,
        shift=shift,
        bend=near * upper - far * lower - shift**2,
    )
