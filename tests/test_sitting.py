"""A visitor's game without a server, and the tables of its page."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from connectfour.app.bundle import Bundle, RecordedGame
from connectfour.app.opponents import Opponents
from connectfour.app.sitting import Sitting
from connectfour.app.tables import leaderboard_html, recorded_label, recorded_view
from connectfour.export.bundling import plan_bundle, write_bundle
from connectfour.games.position import Position
from connectfour.games.registry import make_game
from connectfour.games.result import Result
from connectfour.matches.records import GameRecord, GameSpec
from connectfour.standings.table import LeaderboardRow
from tests.doubles import Sure
from tests.runs import make_ranked_tictactoe_run


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
        return Sitting(Position.parse(moves), "first", "linear", "linear").view(opponents)

    assert view("1213141")["chance"] == 1
    assert view("71213141")["chance"] == 0
    assert view("44")["chance"] == 0.75
    assert view("4")["chance"] == 0.25
    shown = view("444444")
    assert shown["policy"][3] == 0
    assert shown["policy"].index(max(shown["policy"])) == 4
    assert sum(shown["policy"]) == pytest.approx(1, abs=1e-3)
    assert view("4")["open"] == [], "it is the agent's turn"
    assert Sitting(Position(), "first", "linear", "linear").advised(opponents).view(opponents)["hint"] == 4


def test_the_analyst_is_the_strongest_network(opponents: Opponents, ranked_run: Path) -> None:
    """By its rating."""
    networks = [player for player in Bundle(ranked_run / "app").players.values() if player.kind == "network"]
    assert opponents.analyst == max(networks, key=lambda player: player.rating or 0).id


def test_a_visitor_moves_only_when_it_is_their_turn(opponents: Opponents) -> None:
    """Not for an agent, and not after the end. A visitor who watches takes single moves back."""
    sitting = Sitting(Position.parse("44"), "second", "linear", "random")
    assert sitting.drop(3).notice == "It is not your turn."
    over = Sitting(Position.parse("1213141"), "first", "linear", "random")
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
    sitting = Sitting(Position(), "watch", "one", "other")
    for _ in range(3):
        sitting = sitting.answered(opponents, watching=True)
    assert asked == ["one", "other", "one"]


def test_a_shared_position_is_opened_with_the_visitor_to_move() -> None:
    """Unless the visitor watches. A finished game keeps its winner when players are changed: a new one starts."""
    sitting = Sitting(Position(), "first", "linear", "random")
    assert sitting.paste("443").seat == "second"
    assert replace(sitting, seat="watch").paste("443").seat == "watch"
    assert replace(sitting, seat="watch").take_over("443").seat == "second"
    assert sitting.paste("44").swap(7).game.moves == "44"
    assert sitting.paste("1213141").swap(7) == replace(sitting, seat="first", seed=7)
    assert sitting.paste("1213141").reseated(7).game == Position()


def test_the_list_names_each_recorded_game() -> None:
    """With its players, result, length and number."""
    game = GameRecord.of(GameSpec(7, "one", "other"), "win", Result.WIN, moves="1213141")
    lost = replace(game, result=Result.LOSS)
    assert recorded_label(_recorded(game)) == "one - other  1:0 · 7 moves · no. 7"
    assert "0:1" in recorded_label(_recorded(lost))


def _recorded(record: GameRecord, game: str = "connect_four") -> RecordedGame:
    return RecordedGame(record, Position.parse(record.moves, make_game(game)))


def test_a_recorded_game_of_tictactoe_is_counted_in_moves() -> None:
    """Not in characters; the browser gets the moves of each position, and the owner of each cell."""
    record = GameRecord.of(GameSpec(7, "one", "other", "5 1"), "win", Result.WIN, moves="5 1 3 4 7")
    recorded = _recorded(record, "tictactoe")
    assert recorded_label(recorded) == "one - other  1:0 · 5 moves · no. 7"
    view = recorded_view(recorded)
    assert view["opening"] == 2
    assert view["texts"] == ["", "5", "5 1", "5 1 3", "5 1 3 4", "5 1 3 4 7"]
    assert view["cells"] == [[1, 1, 0], [0, 0, 1], [2, 0, 0], [0, 1, 1], [0, 2, 0]]
    assert view["winning"] == [[0, 2], [1, 1], [2, 0]]


def test_a_visitor_plays_tictactoe(tmp_path: Path) -> None:
    """Cell by cell against its heuristics, with its sentences; the view says how the board looks."""
    run = make_ranked_tictactoe_run(tmp_path / "run")
    write_bundle(tmp_path / "app", plan_bundle(run))
    opponents = Opponents(Bundle(tmp_path / "app"))
    rules = opponents.rules
    assert rules.name == "tictactoe"
    sitting = Sitting.of({"moves": "5 1 3"}, "second", "minimax:9", "random", 0, rules)
    assert sitting.drop(9).notice == "There is no cell 10: choose 1 to 9."
    assert sitting.drop(4).notice == "Cell 5 is taken: choose another one."
    assert sitting.drop(6).answered(opponents).game.moves.startswith("5 1 3 7 ")
    assert sitting.paste("5 5").notice == "5 is illegal at move 2 of '5 5': choose another."
    assert sitting.paste("5 1 3 4 7").restart(1).game == Position((), rules)
    assert Sitting.of({"moves": "5" * 999}, "first", "random", "random", 0, rules).game == Position((), rules)
    assert sitting.advised(opponents).hint == 6, "it prevents the win"
    view = sitting.view(opponents)
    assert view["cells"] == [[1, 1, 0], [0, 0, 1], [2, 0, 0]]
    assert (view["mover"], view["open"]) == (1, [1, 3, 5, 6, 7, 8])
    board = view["board"]
    assert (board["rows"], board["columns"], board["kind"], board["place"]) == (3, 3, "marks", "cell")
    assert board["places"][1] == [1, 0], "cells are counted down the columns"


def test_names_are_escaped_in_html() -> None:
    """They come from file names and logs."""
    row = {"rank": 1, "player": "<script>x</script>", "mu": 1, "high95": 2, "wins": 0, "draws": 0, "losses": 0}
    shares = {"win_rate_first": None, "win_rate_second": 0.5, "graded": None}
    shown = leaderboard_html([LeaderboardRow.model_validate({**row, **shares})])
    assert "<script>" not in shown
    assert (
        "<td>&lt;script&gt;x&lt;/script&gt;</td><td>1.0</td><td>1.0</td><td>0/0/0</td><td>-</td><td>0.50</td>" in shown
    )
