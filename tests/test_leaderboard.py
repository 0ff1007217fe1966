"""Tables from a log."""

from __future__ import annotations

import csv
import io
import re
import struct
from pathlib import Path

import pytest
from rich.console import Console

from connectfour.errors import RankingError
from connectfour.matches.records import GameRecord, GameSpec
from connectfour.ranking.display import fault_table
from connectfour.ranking.leaderboard import sequential_ratings, standings, write_tables
from connectfour.ranking.matchlog import Entry, Matches, MatchLog
from connectfour.ranking.session import replay
from connectfour.ranking.table import read_leaderboard
from connectfour.ranking.trueskill import Rating, update


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A ranking of three players: strong beats weak, strong and middle are near, weak sometimes hangs."""
    log = MatchLog(tmp_path / "matches.jsonl")
    with log.writing():
        log.append(
            [Entry("strong", "snapshot", 30, "abc", 0.9), Entry("weak", "heuristic"), Entry("middle", "snapshot", 10)]
        )
        results = [("strong", "weak", 1)] * 6 + [("weak", "strong", -1)] * 5 + [("weak", "strong", 0)]
        results += [("strong", "middle", 1), ("middle", "strong", 0), ("middle", "weak", 1), ("weak", "middle", 1)]
        games = [GameSpec(number, first, second) for number, (first, second, _) in enumerate(results, start=1)]
        records = [
            GameRecord.of(game, "win" if result else "draw", result, moves=f"1{game.id}")
            for game, (_, _, result) in zip(games, results, strict=True)
        ]
        records.append(GameRecord.of(GameSpec(90, "weak", "middle"), "timeout", -1))
        records.append(GameRecord.of(GameSpec(91, "weak", "middle"), "infrastructure", None))
        log.append([*records, ("weak", "too slow")])
    return tmp_path


def test_the_leaderboard_counts_every_game_once(folder: Path) -> None:
    """By seat, with faults, and without what counts for nobody."""
    matches = MatchLog(folder / "matches.jsonl").read()
    lines = standings(matches)
    assert [line.player for line in lines] == ["strong", "middle", "weak"]
    assert [line.rank for line in lines] == [1, 2, 3]
    strong, middle, weak = lines
    assert (strong.games, strong.wins, strong.draws, strong.losses) == (14, 12, 2, 0)
    assert (strong.win_rate_first, strong.win_rate_second) == (1.0, (5 + 0.5 + 0.5) / 7)
    assert (strong.wins_first, strong.draws_first, strong.losses_first) == (7, 0, 0)
    assert (strong.wins_second, strong.draws_second, strong.losses_second) == (5, 2, 0)
    assert (weak.faults, weak.set_aside, strong.faults) == (1, "too slow", 0)
    assert (middle.games, middle.wins, middle.draws, middle.losses) == (5, 2, 1, 2)
    assert sum(line.wins for line in lines) == sum(line.losses for line in lines) == 15
    assert strong.low95 < strong.mu < strong.high95
    assert strong.conservative == pytest.approx(strong.mu - 3 * strong.sigma)
    assert strong.p_better_than_next is not None
    assert 0.5 < strong.p_better_than_next < 1
    assert weak.p_better_than_next is None
    assert (strong.graded, strong.iteration, strong.kind) == (0.9, 30, "snapshot")


def test_sequential_ratings_follow_the_log(folder: Path) -> None:
    """Game by game, in its order."""
    matches = MatchLog(folder / "matches.jsonl").read()
    ratings = dict.fromkeys(matches.players, Rating())
    for game in matches.games:
        if game.result is not None:
            pair = update(ratings[game.first], ratings[game.second], game.result, 0.7)
            ratings[game.first], ratings[game.second] = pair
    assert sequential_ratings(matches, 0.7) == ratings
    assert ratings["strong"].mu > ratings["weak"].mu


def test_the_leaderboard_is_read_again(folder: Path) -> None:
    """The numbers that were written; what is not known is not zero."""
    lines = write_tables(MatchLog(folder / "matches.jsonl").read(), folder)
    rows = read_leaderboard(folder)
    assert [row.player for row in rows] == [line.player for line in lines]
    assert [row.interval for row in rows] == pytest.approx([line.high95 - line.mu for line in lines], abs=2e-4)
    assert [row.graded for row in rows] == [line.graded for line in lines]
    text = (folder / "leaderboard.csv").read_text()
    header, first, rest = text.split("\n", 2)
    cells = first.split(",")
    cells[header.split(",").index("graded")] = ""
    (folder / "leaderboard.csv").write_text("\n".join((header, ",".join(cells), rest)))
    assert read_leaderboard(folder)[0].graded is None


def test_tables_are_written_as_the_house_has_them(folder: Path) -> None:
    """Column names in their order, and a crosstable that is its own mirror."""
    write_tables(MatchLog(folder / "matches.jsonl").read(), folder)
    rows = list(csv.reader((folder / "leaderboard.csv").open()))
    assert ",".join(rows[0]).startswith(
        "rank,player,kind,iteration,mu,sigma,conservative,low95,high95,p_better_than_next,games,"
        "wins,draws,losses,win_rate_first,win_rate_second,faults,graded"
    )
    assert len(rows) == 4
    cross = list(csv.reader((folder / "crosstable.csv").open()))
    assert cross[0][1:] == [row[0] for row in cross[1:]] == ["strong", "middle", "weak"]
    assert cross[1] == ["strong", "", "1/1/0", "11/1/0"]
    assert cross[3] == ["weak", "0/1/11", "1/0/2", ""]


def test_a_replay_makes_the_same_bytes_from_the_log_alone(folder: Path) -> None:
    """Also when the games come in another order, but for the sequential rating."""
    console = Console(quiet=True)
    replay(folder, console)
    names = ("leaderboard.csv", "crosstable.csv")
    before = {name: (folder / name).read_bytes() for name in names}
    picture = (folder / "leaderboard.png").read_bytes()
    width, height = struct.unpack(">II", picture[16:24])
    assert width > 800
    assert height > 300
    for name in (*names, "leaderboard.png"):
        (folder / name).unlink()
    replay(folder, console)
    assert {name: (folder / name).read_bytes() for name in names} == before
    log = folder / "matches.jsonl"
    lines = log.read_text().splitlines()
    log.write_text("\n".join([*lines[:3], *reversed(lines[3:])]) + "\n")
    replay(folder, console)
    assert (folder / "crosstable.csv").read_bytes() == before["crosstable.csv"]
    order_free = [row[:-2] for row in csv.reader((folder / "leaderboard.csv").open())]
    assert order_free == [row[:-2] for row in csv.reader(before["leaderboard.csv"].decode().splitlines())]


def test_without_a_log_there_is_nothing_to_replay(tmp_path: Path) -> None:
    """And nothing is written."""
    with pytest.raises(RankingError, match=r"matches\.jsonl does not exist: name a folder that connectfour rank"):
        replay(tmp_path, Console(quiet=True))
    assert not list(tmp_path.iterdir())
    (tmp_path / "matches.jsonl").write_text("")
    with pytest.raises(RankingError, match="holds no games"):
        replay(tmp_path, Console(quiet=True))


def test_faults_are_shown_by_player_and_kind(folder: Path) -> None:
    """With a line for all."""
    text = io.StringIO()
    Console(file=text, width=120).print(fault_table(MatchLog(folder / "matches.jsonl").read()))
    for name in ("weak", "all"):
        (line,) = [line for line in text.getvalue().splitlines() if name in line]
        assert re.findall(r"\d+", line) == ["0", "0", "0", "0", "1"]


def test_a_league_of_nobody_has_no_lines() -> None:
    """No games, no players."""
    assert standings(Matches()) == []
