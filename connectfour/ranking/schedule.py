"""Which pairs meet next.

``thompson`` (Thompson-Swiss): draw every skill from the posterior, narrowed to a part of its width, sort, and let
neighbours meet. Whoever may be equal meets often, whoever is certainly far apart seldom. Games in flight count as if
their result were known to be the expected one: they narrow the posterior that skills are drawn from, so that the same
doubt is not played out twice.
``round_robin`` lets all pairs meet equally often, ``random`` draws them.

There is no pairing by highest match quality: it locks onto few pairs and orders nobody else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations, pairwise
from typing import Literal, get_args

import numpy as np
from scipy.special import ndtr

from connectfour.ranking.trueskill import BETA, Floats, JointPosterior

Pairing = Literal["thompson", "round_robin", "random"]
PAIRINGS: tuple[Pairing, ...] = get_args(Pairing)

# The share of the posterior's deviation that is drawn: less exploration puts a field in order sooner.
_TEMPERATURE = 0.5

# Pairs sit out a round whose order is this much less in doubt than that of the most doubtful pair.
_SETTLED = 0.3

Pair = tuple[str, str]
"""Two players in alphabetical order."""


def next_round(
    pairing: Pairing,
    players: Sequence[str],
    posterior: JointPosterior,
    played: Mapping[Pair, int],
    in_flight: Mapping[Pair, int],
    rng: np.random.Generator,
) -> list[Pair]:
    """Return pairs in which each of ``players`` meets at most one other.

    Args:
        pairing: the scheme.
        players: who may play, at least two.
        posterior: of these players and perhaps others.
        played: games by pair, those under way included.
        in_flight: games under way by pair.
        rng: source of chance.
    """
    if pairing == "thompson":
        return _neighbours(_by_drawn_skill(players, posterior, in_flight, rng), posterior)
    candidates = [_pair(*two) for two in combinations(players, 2)]
    rng.shuffle(candidates)
    if pairing == "round_robin":
        fewest = min(played.get(pair, 0) for pair in candidates)
        candidates = [pair for pair in candidates if played.get(pair, 0) == fewest]
    return _disjoint(candidates)


def _pair(one: str, other: str) -> Pair:
    return (one, other) if one < other else (other, one)


def _by_drawn_skill(
    players: Sequence[str], posterior: JointPosterior, in_flight: Mapping[Pair, int], rng: np.random.Generator
) -> list[str]:
    index = {name: number for number, name in enumerate(posterior.players)}
    here = np.array([index[name] for name in players])
    precision: Floats = np.asarray(np.linalg.inv(posterior.covariance[np.ix_(here, here)]), dtype=np.float64)
    number = {name: row for row, name in enumerate(players)}
    for (one, other), count in in_flight.items():
        if one in number and other in number:
            difference = np.zeros(len(players))
            difference[[number[one], number[other]]] = 1, -1
            gap = posterior.mean[index[one]] - posterior.mean[index[other]]
            precision += count * _information(float(gap)) * np.outer(difference, difference)
    # x = L^-T z has the covariance (L L^T)^-1.
    factor = np.linalg.cholesky(precision)
    noise = np.linalg.solve(factor.T, rng.standard_normal(len(players)))
    drawn = posterior.mean[here] + _TEMPERATURE * noise
    return [players[row] for row in np.argsort(-drawn).tolist()]


def _information(gap: float) -> float:
    """Return what a game between players whose skills differ by ``gap`` tells about the difference (Fisher)."""
    scale = np.sqrt(2) * BETA
    win = np.clip(ndtr(gap / scale), 1e-9, 1 - 1e-9)
    density = np.exp(-((gap / scale) ** 2) / 2) / np.sqrt(2 * np.pi)
    return float(density**2 / (win * (1 - win)) / scale**2)


def _neighbours(order: Sequence[str], posterior: JointPosterior) -> list[Pair]:
    """Pair an order of players from the top or from the second on, whatever is more in doubt; settled pairs sit out."""
    index = {name: number for number, name in enumerate(posterior.players)}
    doubts = []
    for one, other in pairwise(order):
        better = posterior.probability_better(index[one], index[other])
        doubts.append((min(better, 1 - better), _pair(one, other)))
    chosen = max(doubts[::2], doubts[1::2], key=lambda pairs: sum(doubt for doubt, _ in pairs))
    most = max(doubt for doubt, _ in chosen)
    return [pair for doubt, pair in chosen if doubt >= _SETTLED * most]


def _disjoint(candidates: Sequence[Pair]) -> list[Pair]:
    """Take pairs from the front, leaving out players who are in one already."""
    taken: set[str] = set()
    pairs = []
    for pair in candidates:
        if taken.isdisjoint(pair):
            taken.update(pair)
            pairs.append(pair)
    return pairs
