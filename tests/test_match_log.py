"""The log of games: torn, doubled, damaged, shared."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from connectfour.errors import RankingError
from connectfour.games.result import Result, Score, SeatScores
from connectfour.match_log.lines import Ended, LogLine, PlaySettings, RankedPlayer, SetAside
from connectfour.match_log.log import MatchLog
from connectfour.matches.arena import BoardGame
from connectfour.matches.records import GameRecord, GameSpec, Termination

A, B = RankedPlayer("a", "heuristic"), RankedPlayer("b", "snapshot", 3, "abc", 0.5)
SETTINGS = PlaySettings(4, {"game": "usual"})


def game(
    number: int, first: str = "a", second: str = "b", result: Result | None = Result.WIN, moves: str = ""
) -> GameRecord:
    """A game with its own moves."""
    termination: Termination = "draw" if result is Result.DRAW else "win"
    if result is None:
        termination = "infrastructure"
    return GameRecord.of(GameSpec(number, first, second), termination, result, moves=moves or f"1{number}")


def fault(number: int, kind: Termination, result: Result, opening: str = "", moves: str | None = None) -> GameRecord:
    """A game between a and b that a fault ended."""
    return GameRecord.of(GameSpec(number, "a", "b", opening), kind, result, moves=moves)


def holding(*lines: LogLine) -> MatchLog:
    """A log of two players that is on no disk."""
    return MatchLog(Path("nowhere.jsonl"), [A, B, *lines])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The file of a log of two players and three games."""
    path = tmp_path / "new" / "matches.jsonl"
    with MatchLog.writing(path) as log:
        log.append([A, B])
        games = [replace(game(1), seed=(5, 1, 2)), game(2, "b", "a", Result.DRAW), game(3, "a", "b", Result.LOSS)]
        log.append([SETTINGS, *games])
    return path


def test_the_log_knows_what_was_written(path: Path) -> None:
    """Players, games in order, and their sums; from the file as from the object that appended."""
    with MatchLog.writing(path) as written:
        written.append([game(4)])
    for log in (written, MatchLog.read(path)):
        assert log.players == {"a": A, "b": B}
        assert [each.id for each in log.games] == [1, 2, 3, 4]
        assert log.scores == {("a", "b"): Score(2, 0, 1), ("b", "a"): Score(0, 1, 0)}
        assert log.seat_scores["a"] == SeatScores(first=Score(2, 0, 1), second=Score(0, 1, 0))
        assert log.score("b", "a") == Score(1, 1, 2)
        assert (log.played("a"), log.played("nobody")) == (4, 0)
        assert log.next_id == 5
        assert log.games[0].seed == (5, 1, 2)
        assert log.games[2].result is Result.LOSS
        assert log.settings == SETTINGS


def test_the_format_of_the_file(path: Path) -> None:
    """One JSON object per line, with the keys and numbers that earlier releases wrote."""
    with MatchLog.writing(path) as log:
        log.append([SetAside("b", "too slow"), replace(game(4, result=None), detail="gone")])
        log.append([Ended("share", 0.95, 3.5)])
    game_line = '{"id":%d,"first":"%s","second":"%s","opening":"","moves":"1%d","result":%s,"termination":"%s",%s}'
    assert path.read_text().splitlines() == [
        '{"player":{"name":"a","kind":"heuristic","iteration":null,"sha256":null,"graded":null,"weights_sha256":null}}',
        '{"player":{"name":"b","kind":"snapshot","iteration":3,"sha256":"abc","graded":0.5,"weights_sha256":null}}',
        '{"settings":{"schema_version":2,"opening_plies":4,"game":"usual"}}',
        game_line % (1, "a", "b", 1, "1", "win", '"seconds":0.0,"seed":[5,1,2]'),
        game_line % (2, "b", "a", 2, "0", "draw", '"seconds":0.0,"seed":[]'),
        game_line % (3, "a", "b", 3, "-1", "win", '"seconds":0.0,"seed":[]'),
        '{"set_aside":"b","reason":"too slow"}',
        game_line % (4, "a", "b", 4, "null", "infrastructure", '"seconds":0.0,"seed":[],"detail":"gone"'),
        '{"ended":"share","limit":0.95,"seconds":3.5}',
    ]


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ("ConnectFour(greedy=True)", {"game": "connect_four", "options": {}, "greedy": True}),
        ("ConnectFour(greedy=False)", {"game": "connect_four", "options": {}, "greedy": False}),
        ("LevelGame(rates=None)", {"game": "LevelGame(rates=None)"}),
    ],
)
def test_settings_of_earlier_releases_are_read(tmp_path: Path, rules: str, expected: dict[str, Any]) -> None:
    """They were the ``repr`` of an object, and a ranking that they began goes on."""
    file = tmp_path / "old.jsonl"
    file.write_text(json.dumps({"settings": {"rules": rules, "opening_plies": 4}}) + "\n")
    assert MatchLog.read(file).settings == PlaySettings(4, expected)
    if expected["game"] == "connect_four":
        assert MatchLog.read(file).settings == PlaySettings(4, BoardGame(greedy=expected["greedy"]).describe())


@pytest.mark.parametrize("settings", [{"schema_version": 3, "opening_plies": 4, "game": "go"}, {"opening_plies": 4}])
def test_settings_of_a_newer_release_are_refused(tmp_path: Path, settings: dict[str, Any]) -> None:
    """With the line."""
    file = tmp_path / "new.jsonl"
    file.write_text(json.dumps({"settings": settings}) + "\n")
    with pytest.raises(RankingError, match=r"line 1 of .* is damaged"):
        MatchLog.read(file)


def test_the_time_of_play_is_that_of_the_last_end(path: Path) -> None:
    """Games that follow do not take it back; ends in the logs of earlier releases have none."""
    with path.open("a") as stream:
        stream.write('{"ended":"settled","limit":100}\n')
    with MatchLog.writing(path) as log:
        assert (log.ended, log.seconds) == (Ended("settled", 100), 0.0)
        log.append([Ended("interrupted", seconds=7.5), game(4)])
    assert (MatchLog.read(path).ended, MatchLog.read(path).seconds) == (None, 7.5)


def test_a_torn_last_line_is_repaired(path: Path) -> None:
    """Wherever it is torn, the whole lines count, and the next game follows them."""
    whole = path.read_bytes()
    line = whole.rstrip(b"\n").rfind(b"\n") + 1
    for end in range(line, len(whole)):
        path.write_bytes(whole[:end])
        assert [each.id for each in MatchLog.read(path).games] == [1, 2]
        with MatchLog.writing(path) as log:
            assert [each.id for each in log.games] == [1, 2]
            log.append([game(3), game(4)])
        assert [each.id for each in MatchLog.read(path).games] == [1, 2, 3, 4]


def test_a_game_that_is_there_twice_counts_once(path: Path) -> None:
    """Ids identify games."""
    with MatchLog.writing(path) as log:
        log.append([game(2, "b", "a", Result.WIN)])
    assert MatchLog.read(path).scores["b", "a"] == log.scores["b", "a"] == Score(0, 1, 0)
    assert len(MatchLog.read(path).games) == 3


def test_a_game_that_repeats_another_does_not_count() -> None:
    """The same players in the same seats, move for move; with swapped seats it is another game."""
    log = holding(game(1, moves="4455"), game(2, moves="4455"), game(3, "b", "a", moves="4455"), game(4, moves="445"))
    assert log.repeated == {2}
    assert log.scores == {("a", "b"): Score(2, 0, 0), ("b", "a"): Score(1, 0, 0)}
    assert [log.counts(each) for each in log.games] == [True, False, True, True]


def test_games_that_could_not_be_played_do_not_count() -> None:
    """Faults of the machines are in the log and in no score."""
    log = holding(game(1, result=None))
    assert (log.scores, log.seat_scores, len(log.games)) == ({}, {}, 1)


def test_faults_belong_to_the_loser() -> None:
    """From either seat; equal games without moves of their own are no repetition."""
    log = holding(fault(1, "timeout", Result.LOSS), fault(2, "crash", Result.WIN), fault(3, "timeout", Result.LOSS))
    assert log.faults == {"a": {"timeout": 2}, "b": {"crash": 1}}
    assert log.scores == {("a", "b"): Score(1, 0, 2)}


def test_a_fault_after_some_moves_can_repeat_a_game() -> None:
    """A deterministic player that plays the same full column again adds nothing; one that never moved may."""
    log = holding(
        fault(1, "illegal", Result.LOSS, "4455", "445511"),
        fault(2, "illegal", Result.LOSS, "4455", "445511"),
        fault(11, "timeout", Result.LOSS, "4455"),
        fault(12, "timeout", Result.LOSS, "4455"),
    )
    assert log.repeated == {2}
    assert log.recent_faults("a") == (3, 3)
    assert log.recent_faults("b") == (0, 3)


def test_only_the_latest_games_show_whether_a_player_fails() -> None:
    """Twenty of them."""
    log = holding(
        *(game(number) for number in range(100)), *(fault(number, "timeout", Result.LOSS) for number in range(100, 112))
    )
    assert log.recent_faults("a") == (12, 20)


def test_a_damaged_line_is_named(path: Path) -> None:
    """Broken JSON, JSON of another shape, missing columns, an unknown player, end or result."""
    lines = path.read_text().splitlines()
    row = json.loads(lines[4])
    damaged = [
        "{",
        "[]",
        "7",
        '{"id": 2}',
        '{"player": {"age": 3}}',
        '{"settings": {"rules": "usual"}}',
        json.dumps({**row, "first": "c"}),
        json.dumps({**row, "termination": "rain"}),
        json.dumps({**row, "result": 2}),
    ]
    for line in damaged:
        path.write_text("\n".join([*lines[:4], line, *lines[5:]]) + "\n")
        with pytest.raises(RankingError, match=r"line 5 of .*matches\.jsonl is damaged: remove that line"):
            MatchLog.read(path)


def test_a_log_has_one_writer_at_a_time(path: Path) -> None:
    """The second is refused and leaves the file alone; after the first has finished, there is room for another."""
    before = path.read_bytes()
    with (
        MatchLog.writing(path),
        pytest.raises(RankingError, match=rf"process {os.getpid()} on host \S+ is ranking into"),
    ):
        MatchLog.writing(path).__enter__()
    assert path.read_bytes() == before
    with MatchLog.writing(path) as log:
        log.append([game(4)])
    assert len(MatchLog.read(path).games) == 4


def test_a_log_that_was_only_read_cannot_be_appended_to(path: Path) -> None:
    """Nor one whose writing has ended; the file stays as it is."""
    before = path.read_bytes()
    with MatchLog.writing(path) as written:
        pass
    for log in (written, MatchLog.read(path)):
        with pytest.raises(ValueError, match="open for reading only"):
            log.append([game(4)])
        assert len(log.games) == 3
    assert path.read_bytes() == before


def test_the_past_can_be_asked(path: Path) -> None:
    """What the log said after two games."""
    earlier = MatchLog.read(path).upto(2)
    assert [each.id for each in earlier.games] == [1, 2]
    assert earlier.players.keys() == {"a", "b"}


def test_a_player_who_was_set_aside_stays_so(path: Path) -> None:
    """With the reason."""
    with MatchLog.writing(path) as log:
        log.append([SetAside("b", "5 of its 5 games ended by its faults")])
    assert MatchLog.read(path).set_aside == log.set_aside == {"b": "5 of its 5 games ended by its faults"}
