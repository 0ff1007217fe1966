"""A Space: its folder, and that it runs alone in a clean environment."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import venv
from pathlib import Path

import pytest
import yaml

from connectfour.app.bundle import Bundle
from connectfour.games.connect_four.game import Game
from tests.commands import call
from tests.web import Visitor, free_port, serving


@pytest.fixture(scope="module")
def space(ranked_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Space of a run with the two best of its three networks."""
    folder = tmp_path_factory.mktemp("spaces") / "space"
    done = call("space", ranked_run, "--output", folder, "--top", 2)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Publish it" in done.stdout
    return folder


def test_the_folder_is_ready_to_push(space: Path) -> None:
    """Entry, pinned requirements, a header that Spaces read, LFS, models, leaderboard; only the modules it needs."""
    assert {file.name for file in space.iterdir()} == {
        ".gitattributes",
        "README.md",
        "app.py",
        "bundle",
        "connectfour",
        "heuristics",
        "requirements.txt",
    }
    _, header, text = (space / "README.md").read_text().split("---\n", 2)
    settings = yaml.safe_load(header)
    pinned = dict(line.split("==") for line in (space / "requirements.txt").read_text().split())
    assert settings["sdk"] == "gradio"
    assert settings["sdk_version"] == pinned["gradio"]
    assert settings["app_file"] == "app.py"
    assert settings["title"] == "Connect Four: demo"
    assert len(settings["short_description"]) <= 60
    assert "The strongest is **" in text
    assert {"onnxruntime", "numpy", "fastapi", "huggingface-hub"} <= set(pinned)
    assert not {name for name in pinned if name.startswith(("ray", "torch", "nvidia"))}
    assert "*.onnx filter=lfs" in (space / ".gitattributes").read_text()
    assert len(list((space / "bundle" / "models").glob("*.onnx"))) == 2
    assert len(Bundle(space / "bundle").leaderboard) == 8
    copied = {str(file.relative_to(space)) for file in space.rglob("*.py")}
    assert {"connectfour/app/serve.py", "connectfour/games/connect_four/bitboard.py", "heuristics/minimax.py"} <= copied
    assert not {name for name in copied if "learning" in name or "networks" in name or "ray_session" in name}


def test_it_runs_alone_in_a_clean_environment(space: Path, tmp_path: Path) -> None:
    """Nothing but what requirements.txt names, nothing of this checkout; a whole game is played."""
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / "bin" / "python"
    install = [str(python), "-m", "pip", "install", "--quiet", "--requirement", str(space / "requirements.txt")]
    installed = subprocess.run(install, check=False, capture_output=True, text=True, timeout=240)
    assert installed.returncode == 0, installed.stderr
    place = {"GRADIO_SERVER_NAME": "127.0.0.1", "GRADIO_SERVER_PORT": str(free_port()), "PYTHONPATH": ""}
    with serving([str(python), str(space / "app.py")], tmp_path, environment=place) as (address, _):
        visitor = Visitor(address)
        view: dict[str, object] = {}
        strongest = next(reversed(Bundle(space / "bundle").players))
        game = Game()
        while not game.over:
            column = game.legal[len(game.columns) % len(game.legal)]
            view = visitor.view("drop", view, "first", strongest, strongest, 0, "", column=column)
            assert not view["notice"]
            game = Game.parse(str(view["moves"]))
        assert view["over"]
        assert str(view["status"])


def test_it_is_written_again_in_place(space: Path, ranked_run: Path, tmp_path: Path) -> None:
    """Modules of an earlier version go, what belongs to its repository stays, models are not exported again."""
    again = tmp_path / "space"
    shutil.copytree(space, again)
    (again / ".git").mkdir()
    (again / "connectfour" / "old.py").write_text("old")
    done = call("space", ranked_run, "--output", again, "--top", 2)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Exporting" not in done.stdout
    assert (again / ".git").is_dir()
    (again / ".git").rmdir()
    files = [{file.relative_to(top): file.read_bytes() for file in top.rglob("*.py")} for top in (space, again)]
    assert files[0] == files[1]
    assert {file.name for file in again.iterdir()} == {file.name for file in space.iterdir()}


def test_a_space_that_cannot_serve_says_why(space: Path) -> None:
    """And where else it takes host and port from."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        place = {"GRADIO_SERVER_PORT": str(taken.getsockname()[1])}
        done = subprocess.run(
            [sys.executable, "app.py"],
            cwd=space,
            env={**os.environ, **place},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    assert done.returncode == 1
    assert done.stderr.startswith("0.0.0.0:"), "a Space is visited from outside"
    assert "choose another port or host (host and port are GRADIO_SERVER_NAME and GRADIO_SERVER_PORT)" in done.stderr
    assert "Traceback" not in done.stderr


def test_folders_of_others_are_left_alone(ranked_run: Path, tmp_path: Path) -> None:
    """A checkout of this project, say."""
    (tmp_path / "connectfour").mkdir()
    (tmp_path / "connectfour" / "mine.py").write_text("mine")
    (tmp_path / "bundle").mkdir()
    done = call("space", ranked_run, "--output", tmp_path)
    assert done.returncode == 11
    assert "is there already, and of no Space: name another --output" in done.stderr
    assert {file.name for file in tmp_path.rglob("*")} == {"bundle", "connectfour", "mine.py"}
    assert call("space", tmp_path, "--output", tmp_path / "space").returncode == 3
    assert not (tmp_path / "space").exists()
