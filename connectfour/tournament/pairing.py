"""Decides which pairs play next.

``thompson`` (Thompson-Swiss) draws every skill from the posterior, narrowed to half its width, sorts the players, and
lets neighbors play. Players who may be equal meet often; players who are clearly far apart meet seldom. Games in flight
count as if they had ended as expected: they narrow the posterior, so that the same doubt is not resolved twice.
``round_robin`` lets all pairs meet equally often; ``random`` draws pairs uniformly.

Pairing by the highest match quality is not offered: it locks onto a few pairs and leaves the others unordered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations, pairwise
from typing import Literal, get_args

import numpy as np
from scipy.special import ndtr

from connectfour.rating.posterior import PERFORMANCE_DEVIATION, JointPosterior, Matrix

Pairing = Literal["thompson", "round_robin", "random"]
PAIRINGS: tuple[Pairing, ...] = get_args(Pairing)

# Skills are drawn with this share of the posterior's standard deviation: less exploration finds the order sooner.
_TEMPERATURE = 0.5

# Pairs sit out a round if the doubt about their order is below this share of the largest doubt.
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
    """Return pairs, at most one with each of ``players``.

    Args:
        pairing: the scheme.
        players: those who may play, at least two.
        posterior: ratings of these players and perhaps of others.
        played: number of games by pair, including those in flight.
        in_flight: number of games in flight by pair.
        rng: random number generator.
    """
    if pairing == "thompson":
        return _doubtful_neighbors(_by_drawn_skill(players, posterior, in_flight, rng), posterior)
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
    """Return ``players`` in the order of skills drawn from the posterior, narrowed by the games in flight."""
    selected = np.array([posterior.players.index(name) for name in players])
    mean = posterior.mean[selected]
    precision: Matrix = np.asarray(np.linalg.inv(posterior.covariance[np.ix_(selected, selected)]), dtype=np.float64)
    row = {name: number for number, name in enumerate(players)}
    for (one, other), games in in_flight.items():
        if one in row and other in row:
            difference = np.zeros(len(players))
            difference[[row[one], row[other]]] = 1, -1
            information = _information(float(difference @ mean))
            precision += games * information * np.outer(difference, difference)
    # x = L^-T z has the covariance (L L^T)^-1.
    factor = np.linalg.cholesky(precision)
    noise = np.linalg.solve(factor.T, rng.standard_normal(len(players)))
    return [players[row] for row in np.argsort(-(mean + _TEMPERATURE * noise)).tolist()]


def _information(gap: float) -> float:
    """Return the Fisher information of a game, without draws, about the difference ``gap`` of the players' skills."""
    scaled = gap / PERFORMANCE_DEVIATION
    win = np.clip(ndtr(scaled), 1e-9, 1 - 1e-9)
    density = np.exp(-(scaled**2) / 2) / np.sqrt(2 * np.pi)
    return float(density**2 / (win * (1 - win)) / PERFORMANCE_DEVIATION**2)


def _doubtful_neighbors(order: Sequence[str], posterior: JointPosterior) -> list[Pair]:
    """Pair neighbors, starting at the first or the second player, whichever is more in doubt; settled pairs sit out."""
    index = {name: number for number, name in enumerate(posterior.players)}
    doubts = []
    for one, other in pairwise(order):
        better = posterior.probability_better(index[one], index[other])
        doubts.append((min(better, 1 - better), _pair(one, other)))
    chosen = max(doubts[::2], doubts[1::2], key=lambda pairs: sum(doubt for doubt, _ in pairs))
    most = max(doubt for doubt, _ in chosen)
    return [pair for doubt, pair in chosen if doubt >= _SETTLED * most]


def _disjoint(candidates: Sequence[Pair]) -> list[Pair]:
    """Return the candidates without those that share a player with an earlier one."""
    taken: set[str] = set()
    pairs = []
    for pair in candidates:
        if taken.isdisjoint(pair):
            taken.update(pair)
            pairs.append(pair)
    return pairs
