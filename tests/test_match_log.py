"""The log of games: torn, doubled, damaged, shared."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from connectfour.ranking.matchlog import Entry, Matches, MatchLog
from connectfour.ranking.trueskill import Tally

from connectfour.errors import RankingError
from connectfour.matches.records import GameRecord, GameSpec, Termination


def game(number: int, first: str = "a", second: str = "b", result: int | None = 1, moves: str = "") -> GameRecord:
    """A game that its number tells from others."""
    termination: Termination = "infrastructure" if result is None else "win" if result else "draw"
    return GameRecord.of(GameSpec(number, first, second), termination, result, moves=moves or f"1{number}")


@pytest.fixture
def log(tmp_path: Path) -> MatchLog:
    """A log of two players and three games."""
    log = MatchLog(tmp_path / "matches.jsonl")
    with log.writing():
        log.append([Entry("a", "heuristic"), Entry("b", "snapshot", 3, "abc", 0.5)])
        log.append([{"rules": "usual"}, replace(game(1), seed=(5, 1, 2)), game(2, "b", "a", 0), game(3, "a", "b", -1)])
    return log


def test_what_is_written_is_read(log: MatchLog) -> None:
    """Players, games in order, and what they add up to."""
    matches = log.read()
    assert matches.players["b"] == Entry("b", "snapshot", 3, "abc", 0.5)
    assert [each.id for each in matches.games] == [1, 2, 3]
    assert matches.tallies == {("a", "b"): Tally(1, 0, 1), ("b", "a"): Tally(0, 1, 0)}
    assert matches.next_id == 4
    assert matches.games[0].seed == (5, 1, 2)
    assert matches.settings == {"rules": "usual"}


def test_a_torn_last_line_is_mended(log: MatchLog) -> None:
    """Wherever it is torn: the whole lines count, and the next game follows them."""
    whole = log.path.read_bytes()
    line = whole.rstrip(b"\n").rfind(b"\n") + 1
    for end in range(line, len(whole)):
        log.path.write_bytes(whole[:end])
        assert [each.id for each in log.read().games] == [1, 2]
        with log.writing() as matches:
            assert [each.id for each in matches.games] == [1, 2]
            log.append([game(3), game(4)])
        assert [each.id for each in log.read().games] == [1, 2, 3, 4]


def test_a_game_that_is_there_twice_counts_once(log: MatchLog) -> None:
    """By its id."""
    with log.writing():
        log.append([game(2, "b", "a", 1)])
    assert log.read().tallies["b", "a"] == Tally(0, 1, 0)
    assert len(log.read().games) == 3


def test_a_game_that_repeats_another_is_not_counted() -> None:
    """The same players in the same seats, move for move; from the other seats it is another game."""
    matches = Matches()
    for each in (game(1, moves="4455"), game(2, moves="4455"), game(3, "b", "a", moves="4455"), game(4, moves="445")):
        matches.add(each)
    assert matches.repeated == {2}
    assert matches.tallies == {("a", "b"): Tally(2, 0, 0), ("b", "a"): Tally(1, 0, 0)}
    assert [matches.counts(each) for each in matches.games] == [True, False, True, True]


def test_games_that_nobody_lost_count_for_nobody() -> None:
    """Faults of the machines are in the log and in no tally."""
    matches = Matches()
    matches.add(game(1, result=None))
    assert (matches.tallies, matches.played.total(), len(matches.games)) == ({}, 0, 1)


def test_faults_are_the_losers() -> None:
    """Whoever is at fault has lost, from either seat; equal short games are no repetition."""
    matches = Matches()
    for number, (result, kind) in enumerate([(-1, "timeout"), (1, "crash"), (-1, "timeout")], start=1):
        matches.add(GameRecord.of(GameSpec(number, "a", "b"), kind, result))  # type: ignore[arg-type]  # a literal
    assert matches.faults == {"a": {"timeout": 2}, "b": {"crash": 1}}
    assert matches.tallies == {("a", "b"): Tally(1, 0, 2)}


def test_a_fault_after_some_moves_is_repeated_too() -> None:
    """A deterministic player that plays the same full column again tells nothing new; one that never moved may."""
    matches = Matches()
    for number in (1, 2):
        spec = GameSpec(number, "a", "b", "4455")
        matches.add(GameRecord.of(spec, "illegal", -1, moves="445511"))
        matches.add(GameRecord.of(GameSpec(number + 10, "a", "b", "4455"), "timeout", -1, moves="4455"))
    assert matches.repeated == {2}
    assert matches.recent_faults("a") == (3, 3)
    assert matches.recent_faults("b") == (0, 3)


def test_only_the_latest_games_tell_whether_a_player_fails() -> None:
    """Twenty of them."""
    matches = Matches()
    for number in range(100):
        matches.add(game(number))
    for number in range(100, 112):
        matches.add(GameRecord.of(GameSpec(number, "a", "b"), "timeout", -1))
    assert matches.recent_faults("a") == (12, 20)


def test_damage_is_told_with_its_line(log: MatchLog) -> None:
    """No JSON, a missing column, an unknown player, an unknown end."""
    lines = log.path.read_text().splitlines()
    row = json.loads(lines[4])
    for damaged in ("{", '{"id": 2}', json.dumps({**row, "first": "c"}), json.dumps({**row, "termination": "rain"})):
        log.path.write_text("\n".join([*lines[:4], damaged, *lines[5:]]) + "\n")
        with pytest.raises(RankingError, match=r"line 5 of .*matches\.jsonl is damaged: remove that line"):
            log.read()


def test_two_rankings_do_not_write_into_one_log(log: MatchLog) -> None:
    """The second is told so, and leaves the file alone."""
    before = log.path.read_bytes()
    with log.writing(), pytest.raises(RankingError, match="another process ranks into"), MatchLog(log.path).writing():
        pass
    assert log.path.read_bytes() == before


def test_the_past_can_be_asked(log: MatchLog) -> None:
    """What the log said after two games."""
    earlier = log.read().upto(2)
    assert [each.id for each in earlier.games] == [1, 2]
    assert earlier.players.keys() == {"a", "b"}


def test_who_was_set_aside_stays_so(log: MatchLog) -> None:
    """With the reason."""
    with log.writing():
        log.append([("b", "5 of its 5 games ended by its faults")])
    assert log.read().set_aside == {"b": "5 of its 5 games ended by its faults"}
