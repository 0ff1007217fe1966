"""Intervals of differences between two outcomes that are counted together: wins and losses, or paired verdicts."""

from __future__ import annotations

import math

Z95 = 1.959963984540054
"""Standard deviations of a normal distribution on either side of its mean that hold 95 % of it."""

_HALVINGS = 60


def difference_interval(more: int, fewer: int, trials: int) -> tuple[float, float]:
    """Return the 95 % interval of ``(more - fewer) / trials``, where each trial counts for one of the two or neither.

    It is the score interval of Tango (1998), "Equivalence test and confidence interval for the difference in
    proportions for the paired-sample design", Statistics in Medicine 17: the differences that a score test does not
    reject, with the variance of a single trial estimated under the tested difference. Every trial must be independent
    of the others. The interval stays within -1 and 1 and never has length 0. Without trials that count for neither,
    it is Wilson's.
    """
    difference = (more - fewer) / trials

    def bound(target: float, outer: float) -> float:
        """Return where the statistic is ``target``, between the estimate and ``outer``."""
        inner = difference
        for _ in range(_HALVINGS):
            middle = (inner + outer) / 2
            if abs(_statistic(more, fewer, trials, middle)) > abs(target):
                outer = middle
            else:
                inner = middle
        return outer

    low = -1.0 if fewer == trials else bound(Z95, -1.0)
    high = 1.0 if more == trials else bound(-Z95, 1.0)
    return low, high


def _statistic(more: int, fewer: int, trials: int, difference: float) -> float:
    """Return Tango's score statistic for a true ``difference``; its standard deviation is 1."""
    gap = more - fewer - trials * difference
    # The maximum-likelihood estimate of the share that counts for ``fewer``, given the difference, solves
    # 2 n q^2 + linear q + constant = 0.
    linear = (2 * trials - more + fewer) * difference - more - fewer
    constant = -fewer * difference * (1 - difference)
    share = (math.sqrt(max(linear**2 - 8 * trials * constant, 0.0)) - linear) / (4 * trials)
    variance = trials * (2 * share + difference * (1 - difference))
    return gap / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, gap)
