"""``connectfour match --films``: the games of a match, and films of them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image

from connectfour.errors import PictureError
from connectfour.games.connect_four.position import ConnectFourPosition
from connectfour.games.result import Result, Score
from connectfour.matches import arena
from connectfour.matches.arena import play_match, play_recorded_match
from connectfour.matches.records import GameRecord, GameSpec
from connectfour.players.names import parse_player
from connectfour.terminal import drawing
from connectfour.terminal.films import write_films
from tests.commands import call

PAIR = ("heuristic:tactical", "heuristic:always_same")


@pytest.fixture(autouse=True)
def quick_films(monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames are not smoothed, which takes most of the time."""
    monkeypatch.setattr(drawing, "_SHARPNESS", 1)


def test_the_games_of_a_match_have_their_moves() -> None:
    """They replay to their results, in the seats and from the openings that they had."""
    players = parse_player("heuristic:beat_last"), parse_player("heuristic:random")
    match = play_recorded_match(*players, 21, seed=2, opening_plies=4)
    records = [match.record(row) for row in range(21)]
    total = Score()
    for row, record in enumerate(records):
        game = ConnectFourPosition.parse(record.moves)
        assert game.over
        assert record.result is (Result.DRAW if game.winner is None else (Result.WIN, Result.LOSS)[game.winner])
        assert (record.first, record.second) == (("beat_last", "random"), ("random", "beat_last"))[row % 2]
        assert (record.id, len(record.opening), record.moves[:4]) == (row, 4, record.opening)
        assert record.opening == records[row - row % 2].opening
        total += Score.of(record.result if row % 2 == 0 else record.result.reversed)
    assert len({record.opening for record in records}) > 5
    assert total == match.scores.total == play_match(*players, 21, seed=2, opening_plies=4).total


def test_a_match_is_filmed_from_both_seats(tmp_path: Path) -> None:
    """By default once each; the same seed gives the same bytes, and the files say who moved first."""
    folder = tmp_path / "new" / "films"
    done = call("match", *PAIR, "--games", 4, "--films", folder)
    assert (done.returncode, done.stderr) == (0, "")
    names = ["1-tactical-always_same.gif", "2-always_same-tactical.gif"]
    assert sorted(file.name for file in folder.iterdir()) == names
    for name in names:
        assert f"{name}: tactical wins" in done.stdout.replace("\n", "")
    match = play_recorded_match(parse_player(PAIR[0]), parse_player(PAIR[1]), 4)
    for row, name in enumerate(names):
        with Image.open(folder / name) as film:
            assert getattr(film, "n_frames", 1) == len(match.record(row).moves) + 1
            assert film.info["comment"] == b"connect_four"
    before = (folder / names[0]).read_bytes()
    call("match", *PAIR, "--games", 4, "--films", folder, "--film-count", 1)
    assert [file.name for file in folder.iterdir()] == names[:1]
    assert (folder / names[0]).read_bytes() == before


def _record(first: str, second: str) -> GameRecord:
    """Return a game whose film has a single frame."""
    return GameRecord.of(GameSpec(0, first, second), "timeout", Result.WIN)


def test_films_of_an_earlier_call_are_replaced_and_nothing_else(tmp_path: Path) -> None:
    """Neither pictures of others with such a name, nor films under other names, nor other files."""
    write_films(tmp_path, [_record("a/main", "minimax:4"), _record("b", "c")])
    shutil.copy(tmp_path / "2-b-c.gif", tmp_path / "best.gif")
    shutil.copy(tmp_path / "2-b-c.gif", tmp_path / "02-b-c.gif")
    Image.new("RGB", (8, 8)).save(tmp_path / "3-holiday-beach.gif")
    (tmp_path / "4-a-b.gif").mkdir()
    (tmp_path / "5-a-b.gif").write_text("no picture")
    (tmp_path / "1-a-b.txt").touch()
    others = ["02-b-c.gif", "1-a-b.txt", "3-holiday-beach.gif", "4-a-b.gif", "5-a-b.gif", "best.gif"]
    files = write_films(tmp_path, [_record("a/main", "minimax:4")])
    assert [file.name for file in files] == ["1-a-main-minimax-4.gif"]
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted([*others, "1-a-main-minimax-4.gif"])


def test_any_name_of_a_player_makes_a_file(tmp_path: Path) -> None:
    """Even a long one, or one of characters that are not safe in files."""
    files = write_films(tmp_path, [_record("../ü [x]*" * 99, "é")])
    assert [file.parent for file in files] == [tmp_path]
    assert files[0].is_file()
    assert files[0].name.isascii()
    assert len(files[0].name) < 140
    assert write_films(tmp_path, [_record("a", "é")]) == [tmp_path / "1-a--.gif"]
    assert [file.name for file in tmp_path.iterdir()] == ["1-a--.gif"]


def test_films_that_cannot_be_written_are_refused_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one sentence, before a move is made; and a number of films without a folder."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the match is played although its films were to be refused")

    monkeypatch.setattr(arena, "play_games", refuse)
    (tmp_path / "file").touch()
    done = call("match", *PAIR, "--films", tmp_path / "file")
    assert (done.returncode, done.stderr.count("\n")) == (12, 1)
    assert "file is a file, not a folder: name another folder for the films" in done.stderr
    done = call("match", *PAIR, "--film-count", 3)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "--film-count has no effect without --films" in done.stderr
    with pytest.raises(PictureError, match="file is a file"):
        write_films(tmp_path / "file" / "films", [])
