"""Which pairs play next."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from connectfour.games.result import Score
from connectfour.rating.posterior import JointPosterior, joint_posterior
from connectfour.tournament.pairing import PAIRINGS, Pair, Pairing, next_round

NAMES = [f"p{number}" for number in range(9)]


def _ladder(names: list[str], games: int) -> JointPosterior:
    """Each of ``names`` usually beats the next one, from either seat."""
    often, seldom = games * 3 // 4, games // 4
    scores: dict[Pair, Score] = {}
    for better, worse in pairwise(names):
        scores |= {(better, worse): Score(often, 0, seldom), (worse, better): Score(seldom, 0, often)}
    return joint_posterior(names, scores)


@pytest.mark.parametrize("pairing", PAIRINGS)
@pytest.mark.parametrize("players", [2, 3, 9])
def test_nobody_plays_twice_in_a_round(pairing: Pairing, players: int) -> None:
    """Pairs name their players in alphabetical order."""
    names = NAMES[:players]
    for seed in range(20):
        pairs = next_round(pairing, names, _ladder(names, 8), {}, {}, np.random.default_rng(seed))
        assert pairs
        assert all(one < other for one, other in pairs)
        assert max(Counter(name for pair in pairs for name in pair).values()) == 1


def test_round_robin_lets_all_pairs_meet_equally_often() -> None:
    """Pairs that one round leaves out come first in the next."""
    rng, played = np.random.default_rng(0), Counter[Pair]()
    while played.total() < 36 * 4:
        played.update(next_round("round_robin", NAMES, _ladder(NAMES, 8), played, {}, rng))
    assert len(played) == 36
    assert max(played.values()) - min(played.values()) <= 1


def test_thompson_lets_neighbors_meet() -> None:
    """Pairs are neighbors if the order is well known; if nothing is known, anyone meets anyone."""

    def distances(posterior: JointPosterior) -> list[int]:
        rng = np.random.default_rng(1)
        rounds = [next_round("thompson", NAMES, posterior, {}, {}, rng) for _ in range(60)]
        return [abs(int(one[1]) - int(other[1])) for pairs in rounds for one, other in pairs]

    assert np.mean(distances(_ladder(NAMES, 400))) < 1.2
    assert np.mean(distances(joint_posterior(NAMES, {}))) == pytest.approx(10 / 3, abs=0.5)


def test_settled_pairs_sit_out() -> None:
    """Of four players, the upper ones are surely apart and the lower two are not."""
    games = {("c", "d"): Score(3, 0, 3)}
    for better, worse in (("a", "b"), ("b", "c")):
        games |= {(better, worse): Score(400, 0, 20), (worse, better): Score(20, 0, 400)}
    posterior = joint_posterior(["a", "b", "c", "d"], games)
    met = Counter(
        pair
        for seed in range(60)
        for pair in next_round("thompson", ["a", "b", "c", "d"], posterior, {}, {}, np.random.default_rng(seed))
    )
    assert met == {("c", "d"): 60}


def test_games_in_flight_count_as_information() -> None:
    """Doubt that games in flight will resolve does not shuffle the order again."""
    names = ["a", "b", "c", "d", "e"]
    posterior = joint_posterior(names, {("a", "b"): Score(3, 0, 2), ("c", "d"): Score(4, 0, 1)})

    def rounds(in_flight: dict[Pair, int]) -> Counter[Pair]:
        return Counter(
            pair
            for seed in range(200)
            for pair in next_round("thompson", names, posterior, {}, in_flight, np.random.default_rng(seed))
        )

    known = {(one, other): 10_000 for one in names for other in names if one < other}
    alone, discounted = rounds({}), rounds(known)
    # All doubt is in flight: the drawn order is the mean's, and only neighbors in it can meet.
    order = posterior.order
    neighbors = {tuple(sorted(pair)) for pair in pairwise(order)}
    assert set(discounted) <= neighbors
    assert len(alone) > len(discounted)
