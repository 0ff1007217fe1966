"""``Evidence``: how surely a score is above a threshold, however often one looks.

A rule such as "0.68 over 400 games", looked at after every iteration, is met by luck sooner or later. Here main bets on
every game that its score is above the threshold: a game with ``points`` in {0, 1/2, 1} multiplies a capital of 1 by
``1 + stake * (points - threshold)``. If main's score is never above the threshold, the capital is a nonnegative
supermartingale, and by Ville's inequality it ever reaches ``1 / error`` with a probability of at most ``error``.
(Howard et al. 2021, "Time-uniform, nonparametric, nonasymptotic confidence sequences"; the bets are those of
Waudby-Smith and Ramdas 2024, "Estimating means of bounded random variables by betting".)

Main improves, so old games must not speak against it for ever: a part ``1 / (t (t + 1))`` of the capital enters only at
iteration t (Shin, Ramdas and Rinaldo 2024, "E-detectors"). These parts sum to 1, so the bound still holds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from connectfour.games.result import Result, Score

_STAKES = 0.5 ** np.arange(1, 6)


class Evidence:
    """A capital that grows while main scores more than a threshold; ``1 / capital`` bounds the chance of an error."""

    def __init__(
        self, threshold: float, *, largest_weight: float = 1.0, most: float = 1e9, state: Sequence[float] = ()
    ) -> None:
        """Start with a capital of 1, or from a ``state`` of an earlier object.

        Args:
            threshold: points per game in [0, 1].
            largest_weight: no game will have a larger weight.
            most: capital beyond which nothing is kept, so that a good time long ago does not hide a bad one.
            state: what ``state`` returned.
        """
        self._threshold, self._most = threshold, most
        # The smallest factor that a game can have is then 1/2.
        self._stakes = _STAKES / max(largest_weight * threshold, 1e-3)
        old_threshold, iterations, *capitals = state or (threshold, 0, *np.zeros(len(_STAKES)))
        # Bets against another threshold say nothing about this one.
        self._iterations = int(iterations) if old_threshold == threshold else 0
        self._capitals = np.array(capitals) if old_threshold == threshold else np.zeros(len(_STAKES))

    def add(self, games: Iterable[tuple[Score, float]]) -> None:
        """Bet on the games of one iteration or round: scores, each with the weight of its games."""
        self._iterations += 1
        entering = 1 / (self._iterations * (self._iterations + 1)) / len(self._stakes)
        growth = np.zeros(len(self._stakes))
        for score, weight in games:
            for result in Result:
                growth += score.count(result) * np.log1p(self._stakes * weight * (result.points - self._threshold))
        self._capitals = np.minimum((self._capitals + entering) * np.exp(np.minimum(growth, 50.0)), self._most)

    @property
    def capital(self) -> float:
        """The capital: what the bets have made of it, and the part that has not entered yet."""
        if self._threshold == 0:
            return math.inf  # every score is at least 0
        return float(self._capitals.sum()) + 1 / (self._iterations + 1)

    @property
    def state(self) -> tuple[float, ...]:
        """Everything to go on from."""
        return (self._threshold, self._iterations, *self._capitals.tolist())
