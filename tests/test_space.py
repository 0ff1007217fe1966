"""Spaces: what is in the folder, that it runs alone in a clean environment, and which folders are refused."""

from __future__ import annotations

import ast
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
from connectfour.errors import ConnectFourError, ExportError, RunFolderError
from connectfour.export import space as writing
from connectfour.export.space import write_space
from connectfour.games.position import Position
from tests.commands import call
from tests.runs import make_ranked_tictactoe_run, make_run
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
    """Entry, pinned requirements, the header of a Space, LFS, models, leaderboard; only the modules it needs."""
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
    assert settings["title"] == "Connect Four league"
    assert "the self-play league `demo`" in text
    assert len(settings["short_description"]) <= 60
    assert "The strongest player is **" in text
    assert {"onnxruntime", "numpy", "fastapi", "huggingface-hub"} <= set(pinned)
    assert not {name for name in pinned if name.startswith(("ray", "torch", "nvidia"))}
    assert "*.onnx filter=lfs" in (space / ".gitattributes").read_text()
    assert len(list((space / "bundle" / "models").glob("*.onnx"))) == 2
    assert len(Bundle(space / "bundle").leaderboard) == 8
    copied = {str(file.relative_to(space)) for file in space.rglob("*.py")}
    assert {"connectfour/app/serve.py", "connectfour/games/connect_four/bitboard.py", "heuristics/minimax.py"} <= copied
    assert not {name for name in copied if "learning" in name or "networks" in name or "cluster" in name}


def test_every_package_that_its_modules_import_is_required(space: Path) -> None:
    """Even those that come along with another package today."""
    files = [file for file in space.rglob("*.py") if file.parent != space]
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text()))]
    imported = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    packages = {name.partition(".")[0] for name in imported} - sys.stdlib_module_names
    packages -= {"connectfour", "heuristics", "callbacks", "pyarrow"}  # a Space reads nothing from an object store
    names = {"google": "protobuf", "typing_extensions": "typing-extensions", "yaml": "pyyaml"}
    assert {names.get(name, name) for name in packages} == set(writing._LIBRARIES)


@pytest.mark.slow
def test_it_runs_alone_in_a_clean_environment(space: Path, tmp_path: Path) -> None:
    """With the packages in requirements.txt and nothing from this checkout, a whole game is played."""
    venv.create(tmp_path / "env")
    python = tmp_path / "env" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python)]
    install = [*pip, "install", "--quiet", "--no-compile", "--requirement", str(space / "requirements.txt")]
    installed = subprocess.run(install, check=False, capture_output=True, text=True, timeout=240)
    assert installed.returncode == 0, installed.stderr
    place = {"GRADIO_SERVER_NAME": "127.0.0.1", "GRADIO_SERVER_PORT": str(free_port()), "PYTHONPATH": ""}
    with serving([str(python), str(space / "app.py")], tmp_path, environment=place) as (address, _):
        visitor = Visitor(address)
        view: dict[str, object] = {}
        strongest = next(reversed(Bundle(space / "bundle").players))
        game = Position()
        while not game.over:
            column = game.legal[len(game.actions) % len(game.legal)]
            view = visitor.view("drop", view, "first", strongest, strongest, 0, "", action=column)
            assert not view["notice"]
            game = Position.parse(str(view["moves"]))
        assert view["over"]
        assert str(view["status"])


def test_it_is_updated_in_place(space: Path, ranked_run: Path, tmp_path: Path) -> None:
    """Old modules are removed, files of its repository stay, models are not exported again."""
    again = tmp_path / "space"
    shutil.copytree(space, again)
    (again / ".git").mkdir()
    (again / "connectfour" / "old.py").write_text("old")
    done = call("space", ranked_run, "--output", again, "--top", 2)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Exported" not in done.stdout
    assert (again / ".git").is_dir()
    (again / ".git").rmdir()
    files = [{file.relative_to(top): file.read_bytes() for file in top.rglob("*.py")} for top in (space, again)]
    assert files[0] == files[1]
    assert {file.name for file in again.iterdir()} == {file.name for file in space.iterdir()}


def test_a_space_that_cannot_serve_says_why(space: Path) -> None:
    """And which variables set host and port."""
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
    assert done.stderr.startswith("cannot listen on 0.0.0.0:"), "a Space listens on all interfaces"
    assert "choose another port or host (set GRADIO_SERVER_NAME and GRADIO_SERVER_PORT)" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """The export of networks would fail the test."""

    def refuse(*_: object) -> None:
        raise AssertionError("networks are exported although the Space was to be refused")

    monkeypatch.setattr(writing, "write_bundle", refuse)


def _refused(run: Path, output: Path, error: type[ConnectFourError], message: str) -> None:
    """Check that a Space is refused and that nothing is written."""
    before = {file: file.stat().st_mtime_ns for file in output.parent.rglob("*")} if output.parent.is_dir() else {}
    with pytest.raises(error, match=message):
        write_space(run, output)
    if before:
        assert {file: file.stat().st_mtime_ns for file in output.parent.rglob("*")} == before


def test_foreign_packages_are_left_alone(no_work: None, ranked_run: Path, tmp_path: Path) -> None:
    """A folder with packages of the same names that are not part of a Space."""
    output = tmp_path / "other"
    (output / "bundle").mkdir(parents=True)
    (output / "connectfour").mkdir()
    (output / "connectfour" / "mine.py").write_text("mine")
    _refused(ranked_run, output, ExportError, "connectfour exists and is not part of a Space: name another --output")


def test_this_project_is_not_overwritten(
    no_work: None, ranked_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither its root, even if a bundle lies there, nor a folder inside its packages."""
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "players.json").touch()
    (tmp_path / "heuristics").mkdir()
    monkeypatch.setattr(writing, "_SOURCE", tmp_path)
    _refused(ranked_run, tmp_path, ExportError, "is the code of this project itself: name another --output")
    _refused(ranked_run, tmp_path / "heuristics" / "space", ExportError, "is the code of this project itself")


def test_a_target_that_cannot_be_a_folder_is_refused(no_work: None, ranked_run: Path, tmp_path: Path) -> None:
    """A file, and a folder whose parent is missing."""
    (tmp_path / "file").touch()
    _refused(ranked_run, tmp_path / "file", ExportError, "file is a file: name a folder")
    _refused(ranked_run, tmp_path / "missing" / "space", ExportError, "missing does not exist: create it")


def test_a_run_without_networks_is_refused(no_work: None, tmp_path: Path) -> None:
    """A folder that is not a run, and a run before its first checkpoint."""
    _refused(tmp_path, tmp_path / "space", RunFolderError, "is not a run folder")
    run = make_run(tmp_path / "young", heuristics=("random", "linear"), networks=())
    _refused(run, tmp_path / "space", ExportError, "young has no network yet: train it until its first checkpoint")


@pytest.mark.slow
def test_a_space_of_tictactoe_has_all_that_it_needs(tmp_path: Path) -> None:
    """Its page is built from the folder alone; texts and titles name the game."""
    run = make_ranked_tictactoe_run(tmp_path / "run", ["main"])
    write_space(run, tmp_path / "space")
    readme = (tmp_path / "space" / "README.md").read_text()
    assert "Connect Four" not in readme
    assert "title: Tic-tac-toe league" in readme
    assert "short_description: Play Tic-tac-toe against a self-play league" in readme
    code = (
        "import sys; from pathlib import Path; from connectfour.app.bundle import Bundle;"
        "from connectfour.app.serve import build_page; import connectfour;"
        "page = build_page(Bundle(Path('bundle'))); print(page.title, connectfour.__file__)"
    )
    command = [sys.executable, "-c", code]
    place = {**os.environ, "PYTHONPATH": ""}
    built = subprocess.run(
        command, cwd=tmp_path / "space", env=place, capture_output=True, text=True, check=False, timeout=120
    )
    assert built.returncode == 0, built.stderr
    assert built.stdout == f"Tic-tac-toe league {tmp_path}/space/connectfour/__init__.py\n"


def test_a_missing_library_is_named_first(
    no_work: None, ranked_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the extra that brings it."""
    monkeypatch.setattr(writing, "_LIBRARIES", ("numpy", "no-such-library"))
    message = r"no-such-library is not installed: install it with pip install 'connectfour-league\[web\]'"
    _refused(ranked_run, tmp_path / "space", ExportError, message)


def test_the_command_refuses_with_one_sentence(ranked_run: Path, tmp_path: Path) -> None:
    """And the exit code of exports."""
    (tmp_path / "file").touch()
    done = call("space", ranked_run, "--output", tmp_path / "file")
    assert (done.returncode, done.stderr) == (11, f"connectfour: {tmp_path}/file is a file: name a folder\n")
