"""Results of games, scores of many games, and scores by seat."""

from __future__ import annotations

import numpy as np
import pytest

from connectfour.games.intervals import difference_interval
from connectfour.games.result import Result, Score, SeatScores


@pytest.mark.parametrize(
    ("reward", "result", "points"),
    [(1.0, Result.WIN, 1.0), (0.0, Result.DRAW, 0.5), (-1.0, Result.LOSS, 0.0), (0.3, Result.WIN, 1.0)],
)
def test_a_reward_has_a_result_with_points(reward: float, result: Result, points: float) -> None:
    """The sign of the reward decides; both players together always get one point."""
    assert Result.of(reward) is result
    assert result.points == points
    assert result.points + result.reversed.points == 1
    assert result.reversed is Result.of(-reward)


def test_the_number_of_a_result_is_the_value_of_the_game() -> None:
    """Networks learn these numbers, and logs contain them."""
    assert [int(result) for result in (Result.WIN, Result.DRAW, Result.LOSS)] == [1, 0, -1]


def test_a_score_counts_games_and_points() -> None:
    """A draw is half a point for each player."""
    score = Score(wins=5, draws=2, losses=1)
    assert score.games == 8
    assert score.points == 6
    assert score.share == 0.75
    assert [score.count(result) for result in (Result.WIN, Result.DRAW, Result.LOSS)] == [5, 2, 1]
    assert score.reversed == Score(wins=1, draws=2, losses=5)
    assert str(score) == "5/2/1"


def test_a_score_without_games_has_no_share() -> None:
    """Zero of zero is not a win rate."""
    assert Score().share is None
    assert Score(losses=1).share == 0


@pytest.mark.parametrize("result", Result)
def test_scores_of_one_result_add_up(result: Result) -> None:
    """A score of several equal results is the sum of its games; subtraction undoes addition."""
    score = Score.of(result, games=3)
    assert score == Score.of(result) + Score.of(result) + Score.of(result)
    assert score.count(result) == score.games == 3
    assert Score.of(result).points == result.points
    assert Score.of(result).reversed == Score.of(result.reversed)
    other = Score(4, 2, 1)
    assert (other + score) - score == other


def test_seats_keep_their_own_scores() -> None:
    """Games with the first and with the second move are added separately."""
    first, second = SeatScores.of(0, Score(wins=3)), SeatScores.of(1, Score(draws=1, losses=2))
    both = first + second
    assert both == SeatScores(first=Score(wins=3), second=Score(draws=1, losses=2))
    assert both.total == Score(3, 1, 2)
    assert both + first == SeatScores(first=Score(wins=6), second=Score(draws=1, losses=2))
    assert list(both.by_seat.items()) == [("first", both.first), ("second", both.second), ("both", both.total)]


def test_the_interval_of_a_difference_is_the_published_one() -> None:
    """Airway reactivity of 21 children (Bentur et al. 2009), as in Fagerland, Lydersen and Laake (2014)."""
    assert difference_interval(1, 7, 21) == pytest.approx((-0.517, -0.026), abs=5e-4)
    assert difference_interval(7, 1, 21) == pytest.approx((0.026, 0.517), abs=5e-4)


@pytest.mark.parametrize("chances", [(0.05, 0.9, 0.05), (0.9, 0.05, 0.05), (0.5, 0.0, 0.5), (0.6, 0.3, 0.1)])
def test_the_interval_of_a_score_contains_the_truth_as_often_as_it_says(chances: tuple[float, float, float]) -> None:
    """In 95 % of matches of 100 games, whatever the share of draws."""
    truth = chances[0] + chances[1] / 2
    inside = []
    for counts in np.random.default_rng(0).multinomial(100, chances, size=1000).tolist():
        low, high = Score(*counts).interval or (2, 2)
        inside.append(low <= truth <= high)
    assert 0.93 <= np.mean(inside) <= 0.975


def test_the_interval_of_a_score_stays_in_bounds_and_has_a_length() -> None:
    """Even if all games end alike; without draws it is Wilson's, here for 20 of 20 and 13 of 20."""
    assert Score().interval is None
    for score in (Score(wins=20), Score(draws=20), Score(losses=20), Score(wins=1)):
        low, high = score.interval or (2, 2)
        assert 0 <= low <= (score.share or 0) <= high <= 1
        assert high - low > 0.1
    assert Score(wins=20).interval == pytest.approx((0.8389, 1.0), abs=5e-5)
    assert Score(wins=13, losses=7).interval == pytest.approx((0.4329, 0.8188), abs=5e-5)
    assert Score(13, 0, 7).reversed.interval == pytest.approx((1 - 0.8188, 1 - 0.4329), abs=5e-5)
