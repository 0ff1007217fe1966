"""TrueSkill game by game, in the order of the log, computed by the package ``trueskill``."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import trueskill

from connectfour.games.result import Result
from connectfour.match_log.log import MatchLog
from connectfour.rating.posterior import BETA, MU, PERFORMANCE_DEVIATION, SIGMA

# Outside of this range the package's draws lose their precision.
_DRAW_PROBABILITIES = (1e-6, 1 - 1e-6)


@dataclass(frozen=True)
class SequentialRatings:
    """Everyone's rating after all games.

    Attributes:
        by_player: ``trueskill.Rating`` (mu, sigma) by name.
        unrated: ids of the games on which the package failed; they left the ratings as they were.
    """

    by_player: dict[str, trueskill.Rating]
    unrated: tuple[int, ...]


def sequential_ratings(log: MatchLog, margin: float) -> SequentialRatings:
    """Return TrueSkill's ratings after the games of ``log`` that count, in their order.

    Frozen policies stay as strong as they are, so there is no drift (tau = 0). Moving first has no advantage here.

    Args:
        log: the games.
        margin: half width of the performance differences that are draws.
    """
    rules = environment(margin)
    ratings = {name: rules.create_rating() for name in log.players}
    unrated = []
    for game in log.games:
        if game.result is None or not log.counts(game):
            continue
        try:
            rated = rate_game(rules, ratings[game.first], ratings[game.second], game.result)
        except FloatingPointError:
            unrated.append(game.id)
        else:
            ratings[game.first], ratings[game.second] = rated
    return SequentialRatings(ratings, tuple(unrated))


def environment(margin: float) -> trueskill.TrueSkill:
    """Return the package's settings for a draw ``margin``, which it expects as the draw probability of equals."""
    least, most = _DRAW_PROBABILITIES
    probability = min(max(2 * _cdf(margin / PERFORMANCE_DEVIATION) - 1, least), most)
    # The package's default functions are approximate, and the same ones from SciPy are four times slower.
    backend = (_cdf, _pdf, NormalDist().inv_cdf)
    return trueskill.TrueSkill(MU, SIGMA, BETA, tau=0, draw_probability=probability, backend=backend)


def rate_game(
    rules: trueskill.TrueSkill, first: trueskill.Rating, second: trueskill.Rating, result: Result
) -> tuple[trueskill.Rating, trueskill.Rating]:
    """Return both ratings after a game that ended with ``result`` for ``first``.

    Raises:
        FloatingPointError: the package cannot compute them, as after an upset across an extreme gap.
    """
    if result is Result.LOSS:
        second, first = rules.rate_1vs1(second, first)
    else:
        first, second = rules.rate_1vs1(first, second, drawn=result is Result.DRAW)
    return first, second


def _cdf(x: float) -> float:
    return math.erfc(-x / math.sqrt(2)) / 2


def _pdf(x: float) -> float:
    return math.exp(-x * x / 2) / math.sqrt(2 * math.pi)
