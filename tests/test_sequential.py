"""Sequential ratings: the package's own, at any draw margin, and what happens where it fails."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trueskill

from connectfour.games.result import Result
from connectfour.match_log.lines import RankedPlayer
from connectfour.match_log.log import MatchLog
from connectfour.matches.records import GameRecord, GameSpec
from connectfour.rating.posterior import BETA, MU, SIGMA
from connectfour.rating.sequential import environment, rate_game, sequential_ratings


def log_of(results: Sequence[Result | None]) -> MatchLog:
    """Games between a and b, who moves first in every second one."""
    players = [RankedPlayer(name, "heuristic") for name in ("a", "b", "c")]
    games = [GameSpec(number, *("ab" if number % 2 else "ba")) for number in range(1, len(results) + 1)]
    records = [
        GameRecord.of(game, "infrastructure" if result is None else "win", result, moves=f"1{game.id}")
        for game, result in zip(games, results, strict=True)
    ]
    return MatchLog(Path("nowhere.jsonl"), [*players, *records])


def test_ratings_are_the_packages_in_the_order_of_the_log() -> None:
    """Game by game, without drift; games that do not count, and players without games, change nothing."""
    results = [Result.WIN, Result.WIN, None, Result.DRAW, Result.LOSS, Result.LOSS, Result.DRAW]
    log = log_of(results)
    margin = 0.7
    probability = math.erf(margin / (math.sqrt(2) * BETA) / math.sqrt(2))
    package = trueskill.TrueSkill(MU, SIGMA, BETA, tau=0, draw_probability=probability, backend="scipy")
    expected = {name: package.create_rating() for name in "abc"}
    for game in log.games:
        if game.result in {Result.WIN, Result.DRAW}:
            winner, loser, drawn = game.first, game.second, game.result is Result.DRAW
        elif game.result is Result.LOSS:
            winner, loser, drawn = game.second, game.first, False
        else:
            continue
        expected[winner], expected[loser] = package.rate_1vs1(expected[winner], expected[loser], drawn=drawn)
    found = sequential_ratings(log, margin)
    assert found.unrated == ()
    for name, rating in expected.items():
        assert (found.by_player[name].mu, found.by_player[name].sigma) == pytest.approx(
            (rating.mu, rating.sigma), abs=1e-9
        )
    assert found.by_player["c"].sigma == SIGMA
    assert sequential_ratings(log_of(results[::-1]), margin).by_player["a"] != found.by_player["a"]


@pytest.mark.parametrize("margin", [0.0, 1e-12, 1e-7, 1e-5, 1e-3])
def test_a_draw_of_equals_is_right_for_any_margin(margin: float) -> None:
    """It equals a performance difference of 0, for which the package by itself gives a sigma of 9.6 or 3.5."""
    rules = environment(margin)
    first, second = rate_game(rules, rules.create_rating(), rules.create_rating(), Result.DRAW)
    sigma = math.sqrt(SIGMA**2 * (1 - SIGMA**2 / (2 * BETA**2 + 2 * SIGMA**2)))
    for rating in (first, second):
        assert (rating.mu, rating.sigma) == pytest.approx((MU, sigma), rel=1e-6)


@pytest.mark.parametrize("margin", [20.0, 50.0, 1000.0])
def test_a_margin_that_makes_nearly_every_game_a_draw_stays_finite(margin: float) -> None:
    """Its probability of a draw is rounded below 1."""
    rules = environment(margin)
    for result in Result:
        after = rate_game(rules, rules.create_rating(), rules.create_rating(), result)
        assert all(np.isfinite((rating.mu, rating.sigma)).all() for rating in after)
        assert np.sign(after[0].mu - after[1].mu) == result


def test_the_package_raises_on_an_extreme_upset() -> None:
    """A fault of the package, which ``sequential_ratings`` has to survive."""
    rules = environment(0.7)
    with pytest.raises(FloatingPointError):
        rate_game(rules, rules.create_rating(0, 1), rules.create_rating(1000, 1), Result.WIN)


def test_a_game_that_the_package_cannot_rate_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ratings stay as they were, later games count, and the game is named."""
    rate, calls = trueskill.TrueSkill.rate_1vs1, count(1)

    def fail_on_the_second_game(self: trueskill.TrueSkill, *ratings: trueskill.Rating, drawn: bool = False) -> Any:
        if next(calls) == 2:
            raise FloatingPointError
        return rate(self, *ratings, drawn=drawn)

    without = sequential_ratings(log_of([Result.WIN, None, Result.DRAW]), 0.7)
    monkeypatch.setattr(trueskill.TrueSkill, "rate_1vs1", fail_on_the_second_game)
    found = sequential_ratings(log_of([Result.WIN, Result.LOSS, Result.DRAW]), 0.7)
    assert found.unrated == (2,)
    assert found.by_player == without.by_player
