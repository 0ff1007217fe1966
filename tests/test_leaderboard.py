"""Tables that are computed from a log."""

from __future__ import annotations

import csv
import io
import re
import struct
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from connectfour.cli.ranking_output import print_ranking
from connectfour.errors import RankingError
from connectfour.games.result import Result, Score, SeatScores
from connectfour.match_log.lines import Ended, RankedPlayer, SetAside
from connectfour.match_log.log import MatchLog
from connectfour.matches.records import Fault, GameRecord, GameSpec
from connectfour.rating.sequential import sequential_ratings
from connectfour.standings.display import fault_table
from connectfour.standings.leaderboard import posterior_of, standings, write_tables
from connectfour.standings.table import read_leaderboard
from connectfour.tournament.session import rebuild_tables


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A ranking of three players: strong beats weak, strong and middle are near, weak sometimes hangs."""
    win, draw, loss = Result
    results = [("strong", "weak", win)] * 6 + [("weak", "strong", loss)] * 5 + [("weak", "strong", draw)]
    results += [("strong", "middle", win), ("middle", "strong", draw), ("middle", "weak", win), ("weak", "middle", win)]
    with MatchLog.writing(tmp_path / "matches.jsonl") as log:
        log.append([RankedPlayer("strong", "snapshot", 30, "abc", 0.9), RankedPlayer("weak", "heuristic")])
        log.append([RankedPlayer("middle", "snapshot", 10)])
        games = [GameSpec(number, first, second) for number, (first, second, _) in enumerate(results, start=1)]
        log.append(
            GameRecord.of(game, "draw" if result is draw else "win", result, moves=f"1{game.id}")
            for game, (_, _, result) in zip(games, results, strict=True)
        )
        log.append([GameRecord.lost(GameSpec(90, "weak", "middle"), "weak", Fault("timeout", "no answer"))])
        log.append(
            [GameRecord.of(GameSpec(91, "weak", "middle"), "infrastructure", None), SetAside("weak", "too slow")]
        )
    return tmp_path


def test_the_leaderboard_counts_every_game_once(folder: Path) -> None:
    """By seat, with faults, and without games that could not be played."""
    log = MatchLog.read(folder / "matches.jsonl")
    lines = standings(log, posterior_of(log))
    assert [line.name for line in lines] == ["strong", "middle", "weak"]
    assert [line.rank for line in lines] == [1, 2, 3]
    strong, middle, weak = lines
    assert strong.scores == SeatScores(first=Score(7, 0, 0), second=Score(5, 2, 0))
    row = strong.row()
    assert [row[name] for name in ("games", "wins", "draws", "losses")] == [14, 12, 2, 0]
    assert (row["win_rate_first"], row["win_rate_second"]) == (1.0, (5 + 0.5 + 0.5) / 7)
    assert [row[f"{name}_first"] for name in ("wins", "draws", "losses")] == [7, 0, 0]
    assert [row[f"{name}_second"] for name in ("wins", "draws", "losses")] == [5, 2, 0]
    assert (weak.faults, weak.set_aside, strong.faults) == (1, "too slow", 0)
    assert middle.scores.total == Score(2, 1, 2)
    assert sum(line.scores.total.wins for line in lines) == sum(line.scores.total.losses for line in lines) == 15
    assert strong.low95 < strong.mu < strong.high95
    assert strong.conservative == pytest.approx(strong.mu - 3 * strong.sigma)
    assert strong.p_better_than_next is not None
    assert 0.5 < strong.p_better_than_next < 1
    assert weak.p_better_than_next is None
    assert (row["graded"], row["iteration"], row["kind"]) == (0.9, 30, "snapshot")


def test_the_leaderboard_can_be_read_back(folder: Path) -> None:
    """With the numbers that were written; a missing grade is not zero."""
    lines = write_tables(MatchLog.read(folder / "matches.jsonl"), folder).standings
    rows = read_leaderboard(folder)
    assert [row.player for row in rows] == [line.name for line in lines]
    assert [row.interval for row in rows] == pytest.approx([line.high95 - line.mu for line in lines], abs=2e-4)
    assert [row.graded for row in rows] == [line.player.graded for line in lines] == [0.9, None, None]


def test_tables_have_their_columns(folder: Path) -> None:
    """Column names in their order, sequential ratings at the end, and a crosstable that mirrors itself."""
    log = MatchLog.read(folder / "matches.jsonl")
    write_tables(log, folder)
    header, *rows = csv.reader((folder / "leaderboard.csv").open())
    assert ",".join(header) == (
        "rank,player,kind,iteration,mu,sigma,conservative,low95,high95,p_better_than_next,games,"
        "wins,draws,losses,win_rate_first,win_rate_second,faults,graded,wins_first,draws_first,losses_first,"
        "wins_second,draws_second,losses_second,set_aside,trueskill_mu,trueskill_sigma"
    )
    sequential = sequential_ratings(log, posterior_of(log).margin).by_player
    assert [row[-2:] for row in rows] == [
        [f"{value:.4f}" for value in sequential[name]] for name in ("strong", "middle", "weak")
    ]
    cross = list(csv.reader((folder / "crosstable.csv").open()))
    assert cross[0][1:] == [row[0] for row in cross[1:]] == ["strong", "middle", "weak"]
    assert cross[1] == ["strong", "", "1/1/0", "11/1/0"]
    assert cross[3] == ["weak", "0/1/11", "1/0/2", ""]


def test_the_leaderboard_can_be_sorted_by_sequential_ratings(folder: Path) -> None:
    """Which upsets at the end of the log move further than those at its beginning; all else is the same."""
    with MatchLog.writing(folder / "matches.jsonl") as log:
        games = [GameSpec(number, "weak", "middle") for number in range(100, 104)]
        log.append(GameRecord.of(game, "win", Result.WIN, moves=f"1{game.id}") for game in games)
    by_posterior, by_trueskill = rebuild_tables(folder), rebuild_tables(folder, "trueskill")
    assert [line.name for line in by_posterior.standings] == ["strong", "middle", "weak"]
    assert [line.name for line in by_trueskill.standings] == ["strong", "weak", "middle"]
    rows = list(csv.DictReader((folder / "leaderboard.csv").open()))
    assert [(row["rank"], row["player"]) for row in rows] == [("1", "strong"), ("2", "weak"), ("3", "middle")]
    ratings = [float(row["trueskill_mu"]) for row in rows]
    assert ratings == sorted(ratings, reverse=True)
    assert {line.name: line.mu for line in by_trueskill.standings} == {
        line.name: line.mu for line in by_posterior.standings
    }
    assert float(rows[1]["p_better_than_next"]) < 0.5, "the posterior disagrees"
    text = io.StringIO()
    print_ranking(by_trueskill, Console(file=text, width=120))
    (line,) = [line for line in text.getvalue().splitlines() if " weak " in line and "set aside)" in line]
    assert f"{ratings[1]:.1f} " in line
    assert "ts mu: trueskill_mu, rated by TrueSkill game by game" in text.getvalue()
    assert rebuild_tables(folder).standings == by_posterior.standings


def test_rebuilt_tables_have_the_same_bytes(folder: Path) -> None:
    """From the log alone, even if the games are in another order; but sequential ratings depend on it."""
    ranking = rebuild_tables(folder)
    assert (ranking.folder.path, len(ranking.log.games), ranking.unrated) == (folder, 18, ())
    assert [line.name for line in ranking.standings] == ["strong", "middle", "weak"]
    names = ("leaderboard.csv", "crosstable.csv")
    before = {name: (folder / name).read_bytes() for name in names}
    picture = (folder / "leaderboard.png").read_bytes()
    width, height = struct.unpack(">II", picture[16:24])
    assert width > 800
    assert height > 300
    for name in (*names, "leaderboard.png"):
        (folder / name).unlink()
    rebuild_tables(folder)
    assert {name: (folder / name).read_bytes() for name in names} == before
    log = folder / "matches.jsonl"
    lines = log.read_text().splitlines()
    log.write_text("\n".join([*lines[:3], *reversed(lines[3:])]) + "\n")
    rebuild_tables(folder)
    assert (folder / "crosstable.csv").read_bytes() == before["crosstable.csv"]
    reordered = list(csv.reader((folder / "leaderboard.csv").open()))
    original = list(csv.reader(before["leaderboard.csv"].decode().splitlines()))
    assert [row[:-2] for row in reordered] == [row[:-2] for row in original]
    assert reordered != original


def test_without_a_log_there_are_no_tables(tmp_path: Path) -> None:
    """And nothing is written."""
    with pytest.raises(RankingError, match=r"matches\.jsonl does not exist: name a folder written by connectfour rank"):
        rebuild_tables(tmp_path)
    assert not list(tmp_path.iterdir())
    (tmp_path / "matches.jsonl").write_text("")
    with pytest.raises(RankingError, match="holds no games"):
        rebuild_tables(tmp_path)


def test_faults_are_shown_by_player_and_kind(folder: Path) -> None:
    """With a line for all players."""
    text = io.StringIO()
    Console(file=text, width=120).print(fault_table(MatchLog.read(folder / "matches.jsonl")))
    for name in ("weak", "all"):
        (line,) = [line for line in text.getvalue().splitlines() if name in line]
        assert re.findall(r"\d+", line) == ["0", "0", "0", "0", "1"]


def test_what_is_printed_about_a_ranking(folder: Path) -> None:
    """Standings, faults, and a sentence for whatever is out of the ordinary."""
    with MatchLog.writing(folder / "matches.jsonl") as log:
        log.append([Ended("stalled", 0.1)])
    ranking = rebuild_tables(folder)
    text = io.StringIO()
    print_ranking(replace(ranking, unrated=(4, 7)), Console(file=text, width=120))
    printed = text.getvalue()
    for part in (
        f"{folder.name}: 18 games",
        "weak (set aside)",
        "games lost by faults",
        "weak was set aside: too slow.",
        "Stopped: more games of this kind would not make the skills more certain.",
        "The package trueskill could not rate 2 games",
        f"every game: {folder}/matches.jsonl",
    ):
        assert part in printed
    for end, sentence in (
        (Ended("share", 0.95), "Stopped at 0.95 of the planned games; those that were still under way do not count."),
        (Ended("minutes", 90.0), "Stopped after 90 minutes of play; games that were still under way do not count."),
        (Ended("matches", 18), None),
    ):
        with MatchLog.writing(folder / "matches.jsonl") as log:
            log.append([end])
        text = io.StringIO()
        print_ranking(rebuild_tables(folder), Console(file=text, width=120))
        assert ("Stopped" in text.getvalue()) == (sentence is not None)
        assert (sentence or "") in text.getvalue()
        assert "could not rate" not in text.getvalue()
