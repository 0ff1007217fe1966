"""Rankings whose true order is known."""

from __future__ import annotations

import io
import re
from pathlib import Path
from statistics import fmean

import numpy as np
import pytest
from rich.console import Console

from connectfour.cli.ranking_output import print_rehearsal
from connectfour.errors import RankingError
from connectfour.games.result import Result, Score
from connectfour.matches.records import GameSpec
from connectfour.rehearsal.level_game import Agent, ErrorRates, LevelGame, make_agents, pairwise_accuracy
from connectfour.rehearsal.rehearsal import Rehearsal, rehearse
from connectfour.system.observer import ConsoleObserver


def test_the_better_agent_wins_more_often_and_less_so_the_closer_the_levels() -> None:
    """Close games are draws; seats do not matter."""
    rules, rng = LevelGame(ErrorRates()), np.random.default_rng(0)
    players = {level: Agent(f"agent of {level}", float(level)) for level in (50, 51, 53, 70)}
    points, draws = {}, {}
    for level in (51, 53, 70):
        pair = (players[level], players[50])
        names = (pair[0].name, pair[1].name)
        games = [GameSpec(number, *(names if number % 2 else names[::-1])) for number in range(2000)]
        records = rules.play(pair, names, games, rng, lambda _: None)
        assert all(record.termination == ("draw" if record.result is Result.DRAW else "win") for record in records)
        results = [record.result or Result.DRAW for record in records]
        own = [
            result if record.first == names[0] else result.reversed
            for record, result in zip(records, results, strict=True)
        ]
        score = sum(map(Score.of, own), Score())
        points[level], draws[level] = score.share or 0.0, score.draws / score.games
    assert 0.52 < points[51] < points[53] - 0.1 < points[70] - 0.2
    assert points[70] > 0.99
    assert draws[51] > draws[53] > draws[70]


def test_accuracy_is_the_share_of_pairs_in_the_right_order() -> None:
    """All right, all wrong, one of three wrong."""
    levels = {"a": 3.0, "b": 2.0, "c": 1.0}
    assert pairwise_accuracy(["a", "b", "c"], levels) == 1
    assert pairwise_accuracy(["c", "b", "a"], levels) == 0
    assert pairwise_accuracy(["b", "a", "c"], levels) == pytest.approx(2 / 3)


@pytest.mark.usefixtures("ray_session")
@pytest.mark.slow
def test_a_rehearsal_recovers_the_order_and_draws_its_accuracy(tmp_path: Path) -> None:
    """Four seeds of a hundred games with errors of every kind; the mean of twenty seeds is .98."""
    text = io.StringIO()
    rates = ErrorRates(error=0.1, invalid=0.01, hang=0.002)
    rehearsal = Rehearsal(10, 100, rates, 0.5, ("thompson", "random"), (0, 1, 2, 3))
    figure, console = tmp_path / "new" / "accuracy.png", Console(file=text, width=200)
    result = rehearse(rehearsal, figure, observer=ConsoleObserver(console))
    print_rehearsal(rehearsal, result, figure, console)
    found = result.accuracies
    assert not result.interrupted
    assert rehearsal.marks == (10, 30, 100)
    assert {mark: len(each) for mark, each in found["thompson"].items()} == {10: 4, 30: 4, 100: 4}
    assert fmean(found["thompson"][100]) > 0.93
    assert fmean(found["thompson"][10]) > 0.7
    assert figure.read_bytes().startswith(b"\x89PNG")
    printed = text.getvalue()
    assert re.search(r"Ray: 1 node, \d+ workers, \d+ cores", printed)
    assert len(re.findall(r"100/100 games, 0 pending, .*games/s.* s for games, .* s for log and ratings", printed)) == 8
    assert "retried: exception" in printed
    assert "Share of pairs in the right order, 10 agents, mean of 4 seeds:" in printed
    assert f"{fmean(found['random'][30]):.3f}" in printed
    assert f"Accuracy by number of games: {figure}" in printed


@pytest.mark.usefixtures("ray_session")
def test_a_single_rehearsal_shows_truth_and_faults() -> None:
    """Each agent with its level, and the games that it lost by faults."""
    text = io.StringIO()
    rehearsal = Rehearsal(4, 60, ErrorRates(invalid=0.3), 5, ("thompson",), (7,))
    result = rehearse(rehearsal)
    assert [len(ranking.log.games) for ranking in result.rankings] == [60]
    print_rehearsal(rehearsal, result, None, Console(file=text, width=200))
    printed = text.getvalue()
    for heading in (
        "recovered order",
        "true rank",
        "games lost by faults",
        "invalid result",
        "of pairs in the right order, 4 agents:",
    ):
        assert heading in printed
    for agent in make_agents(4, 7):
        assert f"{agent.level:.1f}" in printed


@pytest.mark.usefixtures("ray_session")
def test_nobody_is_blamed_in_a_slow_game() -> None:
    """Its two players together take longer than the deadline, but neither of them does."""
    (ranking,) = rehearse(Rehearsal(4, 6, ErrorRates(slow=1.0), 1.0, ("thompson",), (7,))).rankings
    assert len(ranking.log.games) == 6
    assert ranking.log.terminations.keys() <= {"win", "draw"}
    assert all(game.seconds > 1.0 for game in ranking.log.games), "its players slept for longer"


def test_a_figure_that_cannot_be_written_is_refused_before_anything_is_played(tmp_path: Path) -> None:
    """Ray is not even started."""
    (tmp_path / "file").write_text("")
    rehearsal = Rehearsal(4, 60, ErrorRates(), 5, ("thompson",), (7,))
    for figure, message in (
        (tmp_path / "accuracy.svg", "use a name that ends in .png"),
        (tmp_path / "file" / "accuracy.png", "file is a file, not a folder"),
    ):
        with pytest.raises(RankingError, match=message):
            rehearse(rehearsal, figure, address="127.0.0.1:1")
