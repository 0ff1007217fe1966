"""``connectfour play`` and ``connectfour replay`` as a user meets them."""

from __future__ import annotations

import re
import shutil
from io import StringIO
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from connectfour.games.connect_four.game import Game
from connectfour.ranking.members import best_player
from connectfour.ranking.recorded import best_games, read_games
from connectfour.terminal.drawing import Film, draw_frame
from connectfour.terminal.prompt import TerminalGame
from tests.commands import call
from tests.doubles import Sure
from tests.runs import make_run


def test_a_game_in_a_terminal(tmp_path: Path) -> None:
    """Discs of both, wrong input, a hint, an undo; the game is told at the end."""
    lines = ["4", "x", "9", "", "h", "u", "3", "q"]
    done = call("play", "--opponent", "heuristic:beat_last", lines=lines, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "You are X, beat_last is O." in done.stdout
    assert ". . . O . . .\n. . . X . . .\n1 2 3 4 5 6 7" in done.stdout
    assert "'x' is no move" in done.stdout
    assert "there is no column 9: choose 1 to 7." in done.stdout
    assert "'' is no move" in done.stdout
    assert "Hint: 4, says a search" in done.stdout
    assert ". . O . . . .\n. . X . . . .\n1 2 3 4 5 6 7" in done.stdout.rpartition("your move")[0]
    assert "The game so far: 33 " in done.stdout


def test_the_agent_moves_first_and_games_end(tmp_path: Path) -> None:
    """Its win is told; a game that is over takes an undo or a new game."""
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
    assert done.stdout.count("tactical wins.") == 2, "taken back, the agent wins again"
    assert "The game so far: 4 " in done.stdout


def test_the_human_wins(tmp_path: Path) -> None:
    """And the end of the input ends the sitting."""
    done = call(
        "play", "--opponent", "heuristic:always_same", "--moves", "4343", "--seed", 1, lines=["4", "4"], cwd=tmp_path
    )
    assert done.returncode == 0
    assert "You win!" in done.stdout


def test_by_default_the_best_of_the_newest_run_plays(ranked_run: Path, tmp_path: Path) -> None:
    """Without one, a search."""
    assert "minimax:4 is O" in call("play", lines=[], cwd=tmp_path).stdout
    make_run(tmp_path / "runs" / "young", heuristics=("random", "linear"), networks=())
    assert "minimax:4 is O" in call("play", lines=[], cwd=tmp_path).stdout, "a run without a network yet"
    shutil.copytree(ranked_run, tmp_path / "runs" / "demo", ignore=shutil.ignore_patterns("app"))
    (tmp_path / "runs" / "demo" / "league" / "manifest.json").touch()
    done = call("play", "--seed", 1, lines=["h"], cwd=tmp_path)
    best = best_player(str(ranked_run))[0].name
    assert f"{best} is O" in done.stdout
    assert f"says {best}, which gives you" in done.stdout


def test_brackets_are_no_markup(tmp_path: Path) -> None:
    """Neither in what is typed nor in names."""
    make_run(tmp_path / "demo[old]")
    done = call("play", "--opponent", "snapshot:demo[old]/v1", lines=["[/]", "[red]"], cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "demo[old]/v0001 is O" in done.stdout
    assert "'[/]' is no move" in done.stdout
    assert "'[red]' is no move" in done.stdout


def test_the_last_disc_stands_out_and_a_hint_says_what_it_is_worth() -> None:
    """In a terminal with colours; Ctrl-C ends the sitting like q."""
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
    assert board.splitlines()[5].count("\x1b[") == 4, "the two discs are styled, and nothing else"
    assert ". . . \x1b[1;33mX\x1b[0m \x1b[1;4;36mO\x1b[0m . ." in board
    assert "Hint: 5, says sure, which gives you 75%." in board
    assert "The game so far: 45 " in board


def test_temperature_and_new_games_vary(ranked_run: Path, tmp_path: Path) -> None:
    """A network at 0 always opens alike; above it, and in the next game, by chance; a draw is told."""

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
    """A position that is none, a player that is none."""
    done = call("play", "--moves", "48", lines=[], cwd=tmp_path)
    assert (done.returncode, done.stderr[:13]) == (6, "connectfour: ")
    assert call("play", "--opponent", "nobody", lines=[], cwd=tmp_path).returncode == 5


@pytest.mark.parametrize("suffix", ["gif", "mp4", "png"])
def test_a_recorded_game_becomes_a_picture(suffix: str, ranked_run: Path, tmp_path: Path) -> None:
    """A frame a move, the last one the end of the game; nothing else is left in the folder."""
    game = best_games(read_games(ranked_run), 1)[0]
    output = tmp_path / f"game.{suffix}"
    done = call("replay", ranked_run, "--output", output)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"game {game.id}, {game.first} against {game.second}, {game.ending}" in done.stdout
    assert [file.name for file in tmp_path.iterdir()] == [output.name]
    frames = iio.imread(output) if suffix == "png" else iio.imread(output, index=None)
    expected = draw_frame(
        Film(Game.parse(game.moves), (game.first, game.second), game.ending, len(game.opening)),
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
        assert len(frames) > len(game.moves) + 4, "the end is held"


def test_frames_show_what_happens() -> None:
    """Both names, the disc where it fell in its colour, the four marked, whose turn it is."""
    film = Film(Game.parse("1213141"), ("one", "other"), "one wins", opening=2)
    empty, first, end = (draw_frame(film, ply).astype(int) for ply in (0, 1, 7))
    amber, blue, mark = (240, 168, 48), (86, 180, 233), (214, 0, 108)

    def near(frame: np.ndarray, x: int, y: int, colour: tuple[int, int, int], reach: int = 32) -> bool:
        seen = frame[y - reach : y + reach, x - reach : x + reach]
        return bool((np.abs(seen - colour).max(axis=2) < 12).sum() > 40)

    bottom, column = 112 + 64 * 5 + 32, [16 + 64 * index + 32 for index in range(7)]
    assert not near(empty, column[0], bottom, amber)
    assert near(first, column[0], bottom, amber)
    assert near(first, column[0], bottom, mark), "the last disc is marked"
    assert near(end, column[1], bottom, blue)
    for height in range(4):
        assert near(end, column[0], bottom - 64 * height, mark), "the winning line is marked"
    assert not near(end, column[1], bottom, mark)
    ring, cross = (138, 90, 0), (11, 74, 117)
    assert not near(first, column[0], bottom, ring, reach=8), "a ring is open in its middle"
    assert near(end, column[1], bottom, cross, reach=8)
    untold = draw_frame(Film(film.game, film.names, "", opening=2), 7).astype(int)
    assert (untold != end).any(axis=(1, 2)).nonzero()[0].tolist()[0] > 520, "the ending is written at the bottom"
    for seat, y in ((0, 28), (1, 64)):
        ringed = [near(draw_frame(film, ply).astype(int), 34, y, mark, reach=18) for ply in (0, 1, 7)]
        assert ringed == [seat == 0, seat == 1, False]
    other = draw_frame(Film(film.game, ("one", "else"), "one wins"), 0)
    assert (other != empty).any(axis=(1, 2)).nonzero()[0].tolist()[0] > 40, "the second name is written"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--game", "999"), "the log has no game 999: its games have the numbers 1 to "),
        (("--output", "{tmp}/game.avi"), "game.avi is no picture or film: end its name with .gif, .mp4 or .png"),
        (("--output", "{tmp}/none/game.gif"), "none is no folder: make it first, or name another one"),
    ],
)
def test_what_cannot_be_drawn_gets_a_sentence(
    options: tuple[str, ...], message: str, ranked_run: Path, tmp_path: Path
) -> None:
    """And leaves nothing."""
    named = [option.format(tmp=tmp_path) for option in options]
    done = call("replay", ranked_run, *([] if "--output" in named else ["--output", tmp_path / "game.gif"]), *named)
    assert done.returncode in {9, 12}
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_games_gets_a_sentence(ranked_run: Path, tmp_path: Path) -> None:
    """Here a run that was never ranked."""
    shutil.copytree(ranked_run / "league", tmp_path / "run" / "league")
    done = call("replay", tmp_path / "run", "--output", tmp_path / "game.gif")
    assert done.returncode == 9
    assert "matches.jsonl does not exist: name a folder that connectfour rank has written" in done.stderr
