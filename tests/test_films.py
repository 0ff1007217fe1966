"""``connectfour match --films``: the games of a match, and films of them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from connectfour.errors import PictureError
from connectfour.games.position import Position
from connectfour.games.registry import make_game
from connectfour.games.result import Result, Score
from connectfour.matches import arena
from connectfour.matches.arena import play_match, play_recorded_match
from connectfour.matches.records import GameRecord, GameSpec
from connectfour.players.names import parse_player
from connectfour.standings.recorded import best_games, read_games
from connectfour.terminal import drawing
from connectfour.terminal.drawing import Film
from connectfour.terminal.films import film_of, write_films
from tests.commands import call, call_process
from tests.runs import make_ranked_tictactoe_run

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
        game = Position.parse(record.moves)
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
            assert film.info["comment"] == b"connectfour:connect_four"
    before = (folder / names[0]).read_bytes()
    call("match", *PAIR, "--games", 4, "--films", folder, "--film-count", 1)
    assert [file.name for file in folder.iterdir()] == names[:1]
    assert (folder / names[0]).read_bytes() == before


@pytest.mark.slow
def test_tictactoe_is_filmed(tmp_path: Path) -> None:
    """Each mark in its cell, the line of the winner, the place of the last move; openings are counted in moves."""
    done = call("match", *("heuristic:minimax:9", "heuristic:random", "--game", "tictactoe"), "--films", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    rules = make_game("tictactoe")
    with Image.open(tmp_path / "1-minimax-9-random.gif") as film:
        assert film.info["comment"] == b"connectfour:tictactoe"
        assert 6 <= getattr(film, "n_frames", 1) <= 10
    amber, blue, highlight = (240, 168, 48), (86, 180, 233), (214, 0, 108)
    record = GameRecord.of(GameSpec(0, "a", "b", "5 1"), "win", Result.WIN, moves="5 1 3 4 7")
    assert film_of(record, "tictactoe").opening == 2
    end = Film(Position.parse(record.moves, rules), ("a", "b"), "a wins")
    for frame in (drawing.draw_frame(end, 5), drawing.draw_frame(end, 5, numbered=True)):
        found = {}
        for name, (row, column) in zip("123456789", end.picture(5).places, strict=True):
            top, left = 112 + 128 * row, 48 + 128 * column
            cell = frame[top : top + 128, left : left + 128].reshape(-1, 3).astype(int)
            seen = [int((np.abs(cell - color).max(axis=1) < 12).sum()) > 200 for color in (amber, blue, highlight)]
            middle = frame[top + 64, left + 64].astype(int)
            assert (np.abs(middle - amber).max() < 12) == seen[0], "an X is closed in the middle, an O is open"
            found[name] = "".join(letter for letter, there in zip("XO!", seen, strict=True) if there)
        assert found == {"5": "X!", "1": "O", "3": "X!", "4": "O", "7": "X!", **dict.fromkeys("2689", "")}
    other = drawing.draw_frame(Film(Position.parse("5 1 3 7", rules), ("a", "b"), "a wins"), 3)
    before = drawing.draw_frame(end, 3)
    assert (other != before).any(axis=(1, 2)).nonzero()[0].max() < 40, "only the number of moves differs"


def test_a_ranked_game_of_tictactoe_becomes_a_film(tmp_path: Path) -> None:
    """The log names the game; a PNG shows its last position."""
    run = make_ranked_tictactoe_run(tmp_path / "run")
    done = call("film", run, "--output", tmp_path / "game.png")
    assert (done.returncode, done.stderr) == (0, "")
    record = best_games(read_games(run), 1)[0]
    film = film_of(record, "tictactoe")
    with Image.open(tmp_path / "game.png") as image:
        assert (np.asarray(image) == drawing.draw_frame(film, film.length, numbered=True)).all()


def test_a_game_without_a_picture_becomes_no_film(tmp_path: Path) -> None:
    """It is refused in one sentence, and no folder is made."""
    game = "pettingzoo:pettingzoo.classic.tictactoe_v3"
    done = call_process(
        "match", "heuristic:random", "heuristic:random", "--game", game, "--games", 2, "--films", tmp_path / "films"
    )
    assert (done.returncode, done.stderr.count("\n")) == (12, 1)
    assert f"{game} draws no pictures: leave out --films" in done.stderr
    assert not (tmp_path / "films").exists()


def _record(first: str, second: str) -> GameRecord:
    """Return a game whose film has a single frame."""
    return GameRecord.of(GameSpec(0, first, second), "timeout", Result.WIN)


def test_films_of_an_earlier_call_are_replaced_and_nothing_else(tmp_path: Path) -> None:
    """Neither pictures of others with such a name, nor films under other names, nor other files."""
    write_films(tmp_path, [_record("a/main", "minimax:4"), _record("b", "c")])
    shutil.copy(tmp_path / "2-b-c.gif", tmp_path / "best.gif")
    shutil.copy(tmp_path / "2-b-c.gif", tmp_path / "02-b-c.gif")
    Image.new("RGB", (8, 8)).save(tmp_path / "3-holiday-beach.gif")
    Image.new("RGB", (8, 8)).save(tmp_path / "6-of-earlier.gif", comment=b"connect_four")
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
