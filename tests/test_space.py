"""A Space: its folder, and that it runs alone in a clean environment."""

from __future__ import annotations

import subprocess
import venv
from pathlib import Path

import httpx
import pytest
import yaml

from connectfour.app.bundle import Bundle
from connectfour.game.single import Game
from tests.runs import make_ranked_run
from tests.test_app_server import ask
from tests.test_cli import call
from tests.web import free_port, serving


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Space of a run with the two best of its three networks."""
    folder = tmp_path_factory.mktemp("spaces")
    run = make_ranked_run(folder / "demo")
    done = call("space", run, "--output", folder / "space", "--top", 2)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Publish it" in done.stdout
    return folder / "space"


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
    assert {"connectfour/app/serve.py", "connectfour/game/bitboard.py", "heuristics/minimax.py"} <= copied
    assert not {name for name in copied if "learning" in name or "networks" in name or "local_ray" in name}


def test_it_runs_alone_in_a_clean_environment(space: Path, tmp_path: Path) -> None:
    """Nothing but what requirements.txt names, nothing of this checkout; a whole game is played."""
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / "bin" / "python"
    install = [str(python), "-m", "pip", "install", "--quiet", "--requirement", str(space / "requirements.txt")]
    subprocess.run(install, check=True, capture_output=True)
    place = {"GRADIO_SERVER_NAME": "127.0.0.1", "GRADIO_SERVER_PORT": str(free_port()), "PYTHONPATH": ""}
    with (
        serving([str(python), str(space / "app.py")], tmp_path, environment=place) as (address, _),
        httpx.Client(base_url=address, timeout=30) as client,
    ):
        view: dict[str, object] = {}
        strongest = next(reversed(Bundle(space / "bundle").players))
        game = Game()
        while not game.over:
            column = game.legal[len(game.columns) % len(game.legal)]
            view = ask(client, "drop", view, "first", strongest, strongest, 0, "", column=column).json()["data"][0]
            assert not view["notice"]
            game = Game.parse(str(view["moves"]))
        assert view["over"]
        assert str(view["status"])


def test_folders_of_others_are_left_alone(space: Path, tmp_path: Path) -> None:
    """A checkout of this project, say."""
    (tmp_path / "connectfour").mkdir()
    (tmp_path / "connectfour" / "mine.py").write_text("mine")
    done = call("space", space.parent / "demo", "--output", tmp_path)
    assert done.returncode == 11
    assert "is there already, and of no Space: name another --output" in done.stderr
    assert [file.name for file in tmp_path.rglob("*")] == ["connectfour", "mine.py"]
    assert call("space", tmp_path, "--output", tmp_path / "space").returncode == 3
    assert not (tmp_path / "space").exists()
