"""``--output`` of ``connectfour grade`` and ``connectfour match``."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import pytest

from connectfour.grading import grade as grading
from connectfour.matches import arena
from tests.commands import call

GRADE_COLUMNS = (
    "game,player,positions,part,count,value_preserving,value_preserving_low95,value_preserving_high95,"
    "optimal,optimal_low95,optimal_high95"
)
MATCH_COLUMNS = "game,player,opponent,seat,games,wins,draws,losses,score,low95,high95"


def read(file: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file."""
    with file.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_grade_as_csv_has_the_figures_of_the_json(tmp_path: Path) -> None:
    """Part by part, with the name of the game first; nothing else is left in the folder."""
    file = tmp_path / "grade.csv"
    done = call("grade", "heuristic:linear", "--positions", "dev", "--json", "--output", file)
    assert (done.returncode, done.stderr) == (0, "")
    assert file.read_text().splitlines()[0] == GRADE_COLUMNS
    rows, shares = read(file), json.loads(done.stdout)["shares"]
    assert [row["part"] for row in rows] == list(shares)
    for row in rows:
        assert (row["game"], row["player"], row["positions"]) == ("connect_four", "linear", "dev")
        share = shares[row["part"]]
        assert int(row["count"]) == share["positions"]
        for verdict in ("value_preserving", "optimal"):
            cells = [float(row[f"{verdict}{end}"]) for end in ("", "_low95", "_high95")]
            expected = [share[f"{verdict}_share"], *share[f"{verdict}_interval"]]
            assert cells == pytest.approx(expected, abs=5e-5)
    assert [each.name for each in tmp_path.iterdir()] == ["grade.csv"]


def test_a_match_as_csv_has_a_row_for_each_seat(tmp_path: Path) -> None:
    """Which add up; a seat without games has no score. The file of an earlier match is replaced."""
    file = tmp_path / "match.csv"
    arguments = ("match", "heuristic:linear", "heuristic:random", "--output", file, "--games")
    done = call(*arguments, 41)
    assert (done.returncode, done.stderr) == (0, "")
    assert file.read_text().splitlines()[0] == MATCH_COLUMNS
    first, second, both = read(file)
    assert [row["seat"] for row in (first, second, both)] == ["first", "second", "both"]
    for column in ("games", "wins", "draws", "losses"):
        assert int(first[column]) + int(second[column]) == int(both[column])
    assert [row["games"] for row in (first, second, both)] == ["21", "20", "41"]
    for row in (first, second, both):
        assert (row["game"], row["player"], row["opponent"]) == ("connect_four", "linear", "random")
        assert 0 <= float(row["low95"]) < float(row["score"]) <= float(row["high95"]) <= 1
        shown = f"{float(row['score']):.3f} [{float(row['low95']):.3f}, {float(row['high95']):.3f}]"
        assert shown in done.stdout
    call(*arguments, 1)
    assert [read(file)[1][column] for column in ("games", "score", "low95", "high95")] == ["0", "", "", ""]


@pytest.mark.parametrize(
    "arguments", [("grade", "heuristic:linear"), ("match", "heuristic:linear", "heuristic:random")]
)
def test_a_place_that_cannot_be_written_is_refused_first(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one sentence, before a move is made."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("work begins although its result was to be refused")

    monkeypatch.setattr(grading, "grade", refuse)
    monkeypatch.setattr(arena, "play_recorded_match", refuse)
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "file").touch()
    cases = [
        ("none/a.csv", "none does not exist: create it, or name another folder"),
        ("a.json", "a.json has an unsupported format: use a name that ends in .csv"),
        ("folder.csv", "folder.csv cannot be written: name a file in a writable folder"),
        ("file/a.csv", "file/a.csv cannot be written"),
    ]
    for name, message in cases:
        done = call(*arguments, "--output", tmp_path / name)
        assert (done.returncode, done.stderr.count("\n")) == (15, 1)
        assert message in done.stderr
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path)
    assert call(*arguments, "--output", tmp_path / "a.csv").returncode == 15
    assert sorted(each.name for each in tmp_path.iterdir()) == ["file", "folder.csv"]
