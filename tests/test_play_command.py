"""``connectfour play`` and ``connectfour film`` as a user meets them."""

from __future__ import annotations

import os
import re
import shutil
import sys
from io import StringIO
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from connectfour.cli.playing import film
from connectfour.errors import PictureError
from connectfour.games.position import Position
from connectfour.games.registry import make_game
from connectfour.games.tictactoe.rules import TicTacToe
from connectfour.players.names import parse_player
from connectfour.settings.game import GameSettings
from connectfour.standings import recorded
from connectfour.standings.best import best_player
from connectfour.standings.recorded import best_games, read_games
from connectfour.terminal import drawing
from connectfour.terminal.drawing import Film, draw_frame
from connectfour.terminal.prompt import TerminalGame
from tests.commands import call, call_process
from tests.doubles import First, Sure
from tests.games import Dots
from tests.runs import make_run


def test_a_game_in_a_terminal(tmp_path: Path) -> None:
    """Discs of both players, wrong input, a hint, an undo; the moves are printed at the end."""
    lines = ["4", "x", "9", "", "h", "u", "3", "q"]
    done = call_process("play", "--opponent", "heuristic:beat_last", lines=lines, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "You are X, beat_last is O." in done.stdout
    assert ". . . O . . .\n. . . X . . .\n1 2 3 4 5 6 7" in done.stdout
    assert "'x' is not a move" in done.stdout
    assert "there is no column 9: choose 1 to 7." in done.stdout
    assert "'' is not a move" in done.stdout
    assert "Hint: column 4, found by a short search." in done.stdout
    assert ". . O . . . .\n. . X . . . .\n1 2 3 4 5 6 7" in done.stdout.rpartition("your move")[0]
    assert "The game so far: 33 " in done.stdout


def test_the_agent_moves_first_and_games_end(tmp_path: Path) -> None:
    """The agent's win is announced; after the end, an undo or a new game is possible."""
    done = call(
        "play",
        *("--opponent", "heuristic:tactical", "--first", "agent", "--moves", "414141"),
        lines=["4", "h", "u", "2", "n", "q"],
        cwd=tmp_path,
    )
    assert done.returncode == 0
    assert "You are O, tactical is X." in done.stdout
    assert "tactical plays 4." in done.stdout
    assert "tactical wins." in done.stdout
    assert "the game is over: start a new one or take back a move." in done.stdout
    assert "The game is over." in done.stdout
    assert done.stdout.count("tactical wins.") == 2, "the agent wins again after the undo"
    assert "The game so far: 4 " in done.stdout


def test_the_human_wins(tmp_path: Path) -> None:
    """And the end of the input ends the session."""
    done = call(
        "play", "--opponent", "heuristic:always_same", "--moves", "4343", "--seed", 1, lines=["4", "4"], cwd=tmp_path
    )
    assert done.returncode == 0
    assert "You win!" in done.stdout


def test_the_default_opponent_is_the_best_of_the_newest_run(ranked_run: Path, tmp_path: Path) -> None:
    """Or a search if there is no run with a network."""
    assert "minimax:4 is O" in call("play", lines=[], cwd=tmp_path).stdout
    make_run(tmp_path / "runs" / "young", heuristics=("random", "linear"), networks=())
    assert "minimax:4 is O" in call("play", lines=[], cwd=tmp_path).stdout, "the run has no network yet"
    shutil.copytree(ranked_run, tmp_path / "runs" / "demo", ignore=shutil.ignore_patterns("app"))
    (tmp_path / "runs" / "demo" / "league" / "manifest.json").touch()
    done = call("play", "--seed", 1, lines=["h"], cwd=tmp_path)
    best = best_player(str(ranked_run))[0].name
    assert f"{best} is O" in done.stdout
    assert f"{best} expects you to score" in done.stdout


def test_brackets_are_printed_as_they_are(tmp_path: Path) -> None:
    """They are not markup, neither in input nor in names."""
    make_run(tmp_path / "demo[old]")
    done = call("play", "--opponent", "snapshot:demo[old]/v1", lines=["[/]", "[red]"], cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "demo[old]/v0001 is O" in done.stdout
    assert "'[/]' is not a move" in done.stdout
    assert "'[red]' is not a move" in done.stdout


def test_the_last_disc_stands_out_and_a_hint_has_a_value() -> None:
    """In a terminal with colors. Ctrl-C ends the session like q."""
    written = StringIO()
    console = Console(file=written, force_terminal=True, color_system="standard", markup=False)
    lines = iter(["4", "h"])

    def read(prompt: str) -> str:
        try:
            return next(lines)
        except StopIteration:
            raise KeyboardInterrupt from None

    TerminalGame(Sure("sure"), 0, console).run(read)
    *_, board = written.getvalue().split("sure plays 5.\n")
    assert board.splitlines()[5].count("\x1b[") == 4, "only the two discs are styled"
    assert ". . . \x1b[1;33mX\x1b[0m \x1b[1;4;36mO\x1b[0m . ." in board
    assert "Hint: column 5. sure expects you to score 75%." in board
    assert "The game so far: 45 " in board


def test_marks_are_colored_and_taken_cells_refused() -> None:
    """In tic-tac-toe as well; wrong numbers get the sentences of its board."""
    written = StringIO()
    console = Console(file=written, force_terminal=True, color_system="standard", markup=False)
    lines = iter(["5", "10", "7", "h", "q"])
    game = Position.parse("5 1", make_game("tictactoe"))
    TerminalGame(parse_player("heuristic:minimax:9", game=GameSettings(name="tictactoe")), 0, console, game=game).run(
        lambda _: next(lines)
    )
    shown = written.getvalue()
    assert "cell 5 is taken: choose another one." in shown
    assert "there is no cell 10: choose 1 to 9." in shown
    assert "minimax:9 plays 3." in shown
    assert "\x1b[1;36mO\x1b[0m 4 \x1b[1;33mX\x1b[0m\n2 \x1b[1;33mX\x1b[0m 8\n\x1b[1;4;36mO\x1b[0m 6 9" in shown
    assert "Hint: cell 2, found by a short search." in shown


def test_moves_are_named_as_the_game_names_them() -> None:
    """Capital letters, numbers from 0, and names of commands: moves come first."""
    written = StringIO()
    names = {"action_name": lambda self, action: ("U", "E1", "0", *"cdefghijq")[action]}
    rules = type("Named", (Dots,), names)()
    lines = iter(["E1", "e1", "U", "0", "Q"])
    TerminalGame(First(), 1, Console(file=written), game=Position((), rules)).run(lambda _: next(lines))
    shown = written.getvalue()
    assert "first plays U." in shown
    assert "'e1' is not an action of dots" in shown
    assert "U is not legal" in shown
    assert "The game so far: U E1 0 (continue" in shown


def test_numbers_are_names_where_the_game_says_so() -> None:
    """Not the number before: cell 0 is the first where names count from 0."""
    written = StringIO()
    rules = type("FromZero", (TicTacToe,), {"action_name": lambda self, action: str(action)})()
    lines = iter(["9", "0", "q"])
    TerminalGame(First(), 0, Console(file=written), game=Position((), rules)).run(lambda _: next(lines))
    assert "'9' is not an action of tictactoe" in written.getvalue()
    assert "The game so far: 0 1 (continue" in written.getvalue()


def test_temperature_and_new_games_vary(ranked_run: Path, tmp_path: Path) -> None:
    """At temperature 0 a network always opens alike; otherwise chance decides in each new game. A draw is announced."""

    def openings(*options: object) -> list[str]:
        done = call("play", "--first", "agent", "--seed", 1, *options, lines=["n"] * 12, cwd=tmp_path)
        return re.findall(r"plays (\d)", done.stdout)

    network = f"snapshot:{ranked_run}/v1"
    assert len(set(openings("--opponent", network))) == 1
    assert len(set(openings("--opponent", network, "--temperature", 9))) > 2
    assert len(set(openings("--opponent", "heuristic:random"))) > 2
    drawn = "121212212121343434434343565656656565777777"
    done = call("play", "--moves", drawn[:-2], "--opponent", "heuristic:random", lines=["7"], cwd=tmp_path)
    assert "A draw." in done.stdout


def test_wrong_options_get_a_sentence(tmp_path: Path) -> None:
    """A column that does not exist, a player that does not exist."""
    done = call("play", "--moves", "48", lines=[], cwd=tmp_path)
    assert (done.returncode, done.stderr[:13]) == (6, "connectfour: ")
    assert call("play", "--opponent", "nobody", lines=[], cwd=tmp_path).returncode == 5


@pytest.mark.parametrize("suffix", ["gif", "mp4", "png"])
def test_a_recorded_game_becomes_a_picture(suffix: str, ranked_run: Path, tmp_path: Path) -> None:
    """One frame per move, and the last one shows the end; no other file is left in the folder."""
    game = best_games(read_games(ranked_run), 1)[0]
    output = tmp_path / f"game.{suffix}"
    done = call("film", ranked_run, "--output", output)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"game {game.id}, {game.first} against {game.second}, {game.ending}" in done.stdout
    assert [file.name for file in tmp_path.iterdir()] == [output.name]
    frames = iio.imread(output) if suffix == "png" else iio.imread(output, index=None)
    expected = draw_frame(
        Film(Position.parse(game.moves), (game.first, game.second), game.ending, len(game.opening)),
        len(game.moves),
        numbered=suffix == "png",
    )
    last = frames if suffix == "png" else frames[-1]
    difference = np.abs(last[..., :3].astype(int) - expected).mean()
    assert difference < {"gif": 2, "mp4": 3, "png": 0.001}[suffix]
    if suffix == "gif":
        assert len(frames) == len(game.moves) + 1
        with Image.open(output) as film:
            film.seek(len(game.moves))
            assert film.info["duration"] > 3000
    if suffix == "mp4":
        assert len(frames) > len(game.moves) + 4, "the last frame is held"


def test_frames_show_what_happens() -> None:
    """Both names, each disc in its place and color, the winning line, whose turn it is."""
    film = Film(Position.parse("1213141"), ("one", "other"), "one wins", opening=2)
    empty, first, end = (draw_frame(film, ply).astype(int) for ply in (0, 1, 7))
    amber, blue, mark = (240, 168, 48), (86, 180, 233), (214, 0, 108)

    def near(frame: np.ndarray, x: int, y: int, color: tuple[int, int, int], reach: int = 32) -> bool:
        seen = frame[y - reach : y + reach, x - reach : x + reach]
        return bool((np.abs(seen - color).max(axis=2) < 12).sum() > 40)

    bottom, column = 112 + 64 * 5 + 32, [16 + 64 * index + 32 for index in range(7)]
    assert not near(empty, column[0], bottom, amber)
    assert near(first, column[0], bottom, amber)
    assert near(first, column[0], bottom, mark), "the last disc is marked"
    assert near(end, column[1], bottom, blue)
    for height in range(4):
        assert near(end, column[0], bottom - 64 * height, mark), "the winning line is marked"
    assert not near(end, column[1], bottom, mark)
    ring, cross = (138, 90, 0), (11, 74, 117)
    assert not near(first, column[0], bottom, ring, reach=8), "the ring is open in the middle"
    assert near(end, column[1], bottom, cross, reach=8)
    without_ending = draw_frame(Film(film.game, film.names, "", opening=2), 7).astype(int)
    assert (without_ending != end).any(axis=(1, 2)).nonzero()[0].tolist()[0] > 520, "the ending is at the bottom"
    for seat, y in ((0, 28), (1, 64)):
        ringed = [near(draw_frame(film, ply).astype(int), 34, y, mark, reach=18) for ply in (0, 1, 7)]
        assert ringed == [seat == 0, seat == 1, False]
    other = draw_frame(Film(film.game, ("one", "else"), "one wins"), 0)
    assert (other != empty).any(axis=(1, 2)).nonzero()[0].tolist()[0] > 40, "the second name is shown"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--game", "999"), "the log has no game 999: choose a number from 1 to "),
        (("--output", "{tmp}/game.avi"), "game.avi has an unsupported format: use .gif, .mp4 or .png"),
        (("--output", "{tmp}/none/game.gif"), "none does not exist: create it, or name another folder"),
    ],
)
def test_a_film_that_cannot_be_drawn_gets_a_sentence(
    options: tuple[str, ...], message: str, ranked_run: Path, tmp_path: Path
) -> None:
    """And leaves no file."""
    named = [option.format(tmp=tmp_path) for option in options]
    done = call("film", ranked_run, *([] if "--output" in named else ["--output", tmp_path / "game.gif"]), *named)
    assert done.returncode in {9, 12}
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_games_gets_a_sentence(ranked_run: Path, tmp_path: Path) -> None:
    """Here a run that was never ranked."""
    shutil.copytree(ranked_run / "league", tmp_path / "run" / "league")
    done = call("film", tmp_path / "run", "--output", tmp_path / "game.gif")
    assert done.returncode == 9
    assert "matches.jsonl does not exist: name a folder written by connectfour rank" in done.stderr


@pytest.fixture
def without_video(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra ``video`` is not installed."""
    for name in [*sys.modules]:
        if name.partition(".")[0] in {"imageio", "imageio_ffmpeg"}:
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)


@pytest.mark.parametrize("suffix", ["gif", "png"])
def test_pictures_need_no_video_package(suffix: str, without_video: None, ranked_run: Path, tmp_path: Path) -> None:
    """GIF and PNG are written by Pillow."""
    output = tmp_path / f"game.{suffix}"
    film(ranked_run, output)
    with Image.open(output) as image:
        image.verify()


def test_a_film_without_the_video_extra_is_refused_first(
    without_video: None, ranked_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sentence names the extra, before the log is read and the first frame is drawn."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("work begins although the film was to be refused")

    monkeypatch.setattr(drawing, "draw_frame", refuse)
    monkeypatch.setattr(recorded, "read_games", refuse)
    with pytest.raises(PictureError, match=r"needs imageio_ffmpeg: pip install 'connectfour-league\[video\]'"):
        film(ranked_run, tmp_path / "game.mp4")
    assert list(tmp_path.iterdir()) == []


def test_a_film_that_cannot_be_written_is_refused_first(
    ranked_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder with the name of a film, and a folder without permission."""
    (tmp_path / "game.gif").mkdir()
    with pytest.raises(PictureError, match=r"game.gif cannot be written: name a file in a writable folder"):
        film(ranked_run, tmp_path / "game.gif")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(PictureError, match=r"game.png cannot be written"):
        film(ranked_run, tmp_path / "game.png")
