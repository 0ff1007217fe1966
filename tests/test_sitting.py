"""A visitor's game without a server, and the tables of its page."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from connectfour.app.bundle import Bundle
from connectfour.app.opponents import Opponents
from connectfour.app.sitting import Sitting
from connectfour.app.tables import leaderboard_html, recorded_label
from connectfour.games.connect_four.position import ConnectFourPosition
from connectfour.games.result import Result
from connectfour.matches.records import GameRecord, GameSpec
from connectfour.standings.table import LeaderboardRow
from tests.doubles import Sure


@pytest.fixture(scope="module")
def opponents(ranked_run: Path) -> Opponents:
    """Players of a ranked run."""
    return Opponents(Bundle(ranked_run / "app"))


def test_a_game_at_a_temperature_varies_and_is_repeatable(opponents: Opponents) -> None:
    """The seed of the sitting decides; at temperature 0 there is one answer."""

    def answers(temperature: float) -> set[str]:
        strongest = opponents.analyst or ""
        sittings = [Sitting.of({"seed": seed}, "second", strongest, strongest, temperature) for seed in range(30)]
        first = {sitting.answered(opponents).game.moves for sitting in sittings}
        assert first == {sitting.answered(opponents).game.moves for sitting in sittings}
        return first

    assert len(answers(0)) == 1
    assert len(answers(10)) > 3


def test_chance_is_that_of_the_first_player(opponents: Opponents, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is certain once the game is over. The policy covers open columns only."""
    monkeypatch.setattr(opponents, "player", lambda *_: Sure("sure"))

    def view(moves: str) -> dict[str, Any]:
        return Sitting(ConnectFourPosition.parse(moves), "first", "linear", "linear").view(opponents)

    assert view("1213141")["chance"] == 1
    assert view("71213141")["chance"] == 0
    assert view("44")["chance"] == 0.75
    assert view("4")["chance"] == 0.25
    shown = view("444444")
    assert shown["policy"][3] == 0
    assert shown["policy"].index(max(shown["policy"])) == 4
    assert sum(shown["policy"]) == pytest.approx(1, abs=1e-3)
    assert view("4")["open"] == [], "it is the agent's turn"
    assert Sitting(ConnectFourPosition(), "first", "linear", "linear").advised(opponents).view(opponents)["hint"] == 4


def test_the_analyst_is_the_strongest_network(opponents: Opponents, ranked_run: Path) -> None:
    """By its rating."""
    networks = [player for player in Bundle(ranked_run / "app").players.values() if player.kind == "network"]
    assert opponents.analyst == max(networks, key=lambda player: player.rating or 0).id


def test_a_visitor_moves_only_when_it_is_their_turn(opponents: Opponents) -> None:
    """Not for an agent, and not after the end. A visitor who watches takes single moves back."""
    sitting = Sitting(ConnectFourPosition.parse("44"), "second", "linear", "random")
    assert sitting.drop(3).notice == "It is not your turn."
    over = Sitting(ConnectFourPosition.parse("1213141"), "first", "linear", "random")
    assert over.drop(3).notice.startswith("The game is over")
    assert over.advised(opponents).notice == "The game is over."
    watched = replace(sitting, seat="watch")
    assert watched.undo().game.moves == "4"
    assert watched.answered(opponents) == watched
    assert len(watched.answered(opponents, watching=True).game.moves) == 3
    assert watched.swap(0).agents == ("random", "linear")


def test_each_seat_is_played_by_its_own_agent(opponents: Opponents, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a visitor watches."""
    asked: list[str] = []

    def player(name: str, temperature: float) -> Sure:
        asked.append(name)
        return Sure(name, temperature=temperature)

    monkeypatch.setattr(opponents, "player", player)
    sitting = Sitting(ConnectFourPosition(), "watch", "one", "other")
    for _ in range(3):
        sitting = sitting.answered(opponents, watching=True)
    assert asked == ["one", "other", "one"]


def test_a_shared_position_is_opened_with_the_visitor_to_move() -> None:
    """Unless the visitor watches. A finished game keeps its winner when players are changed: a new one starts."""
    sitting = Sitting(ConnectFourPosition(), "first", "linear", "random")
    assert sitting.paste("443").seat == "second"
    assert replace(sitting, seat="watch").paste("443").seat == "watch"
    assert replace(sitting, seat="watch").take_over("443").seat == "second"
    assert sitting.paste("44").swap(7).game.moves == "44"
    assert sitting.paste("1213141").swap(7) == replace(sitting, seat="first", seed=7)
    assert sitting.paste("1213141").reseated(7).game == ConnectFourPosition()


def test_the_list_names_each_recorded_game() -> None:
    """With its players, result, length and number."""
    game = GameRecord.of(GameSpec(7, "one", "other"), "win", Result.WIN, moves="1213141")
    lost = replace(game, result=Result.LOSS)
    assert recorded_label(game) == "one - other  1:0 · 7 moves · no. 7"
    assert "0:1" in recorded_label(lost)


def test_names_are_escaped_in_html() -> None:
    """They come from file names and logs."""
    row = {"rank": 1, "player": "<script>x</script>", "mu": 1, "high95": 2, "wins": 0, "draws": 0, "losses": 0}
    shares = {"win_rate_first": None, "win_rate_second": 0.5, "graded": None}
    shown = leaderboard_html([LeaderboardRow.model_validate({**row, **shares})])
    assert "<script>" not in shown
    assert (
        "<td>&lt;script&gt;x&lt;/script&gt;</td><td>1.0</td><td>1.0</td><td>0/0/0</td><td>-</td><td>0.50</td>" in shown
    )
