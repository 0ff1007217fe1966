"""The web app's server: forged requests, closed paths, and one sentence for everything that cannot be served."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectfour.cli.playing import app
from connectfour.errors import ExportError, PlayerError, ServerError
from connectfour.export import bundling
from tests.commands import call, command
from tests.web import Visitor, free_port, serving


@pytest.fixture(scope="module")
def server(ranked_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visitor]:
    """The app, serving the run."""
    folder = tmp_path_factory.mktemp("server")
    with serving(command("app", "--run", ranked_run, "--port", free_port()), folder, forged=True) as (address, _):
        yield Visitor(address)


SETTINGS = ("first", "linear", "linear", 0, "")


def test_a_move_is_answered(server: Visitor) -> None:
    """By the opponent's move."""
    view = server.view("drop", {"moves": "44"}, *SETTINGS, action=3)
    assert view["moves"][:3] == "444"
    assert len(view["moves"]) == 4


@pytest.mark.parametrize(
    "kept",
    [
        None,
        [],
        "44",
        {"moves": "9"},
        {"moves": "4" * 7},
        {"moves": [5]},
        {"moves": "1" * 10_000},
        {"turn": "x", "seed": []},
        {"turn": -1, "seed": -1},
    ],
)
def test_an_invalid_game_is_an_empty_board(kept: object, server: Visitor) -> None:
    """The server remembers nothing and checks everything."""
    view = server.view("drop", kept, *SETTINGS, action=0)
    assert len(view["moves"]) == 2
    assert view["moves"][0] == "1"


@pytest.mark.parametrize("column", [None, 7, -1, "3", 3.5, [3], {"x": 1}])
def test_an_invalid_column_changes_nothing(column: object, server: Visitor) -> None:
    """And gets a sentence."""
    view = server.view("drop", {"moves": "44"}, *SETTINGS, action=column)
    assert view["moves"] == "44"
    assert "no column" in view["notice"]


@pytest.mark.parametrize("player", ["../../etc/passwd", "onnx:/etc/passwd", "models/v0001.onnx", "", None])
def test_players_are_ids_from_a_fixed_list(player: object, server: Visitor) -> None:
    """Never a path."""
    refused = server.ask("drop", {"moves": ""}, "first", player, "linear", 0, "", action=3)
    assert refused.status_code >= 400
    assert "root:" not in refused.text


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "gradio_api/upload"),
        ("GET", "gradio_api/file=/etc/passwd"),
        ("GET", "file=/etc/passwd"),
        ("GET", "gradio_api/proxy=http://example.com/"),
        ("POST", "gradio_api/component_server"),
        ("GET", "monitoring"),
        ("GET", "gradio_api/info"),
        ("HEAD", "gradio_api/file=/etc/passwd"),
        ("HEAD", "gradio_api/file=http://example.com/"),
        ("HEAD", "gradio_api/proxy=http://example.com/"),
        ("GET", "configuration"),
        ("POST", "gradio_api/queue/join"),
        ("POST", ""),
        ("PUT", ""),
    ],
)
def test_paths_that_the_page_does_not_need_are_closed(method: str, path: str, server: Visitor) -> None:
    """No uploads, no files, no proxy."""
    files = {"files": b"data"} if path.endswith("upload") else None
    closed = server.http.request(method, path, files=files)
    assert (closed.status_code, closed.text) == (404, "" if method == "HEAD" else "not found")


def test_long_requests_are_refused(server: Visitor) -> None:
    """Before they are read."""
    assert server.http.post("gradio_api/run/predict", content=b"x" * 100_000).status_code == 413
    assert server.http.post("gradio_api/run/predict", content=iter([b"x"] * 10)).status_code == 413, (
        "its length is unknown"
    )


def test_the_page_loads_nothing_from_other_hosts(server: Visitor) -> None:
    """No fonts, scripts or counters."""
    page = server.http.get("/").text
    for attribute in ('src="http', 'href="http', "url(http"):
        assert attribute not in page


def test_each_visitor_gets_a_new_seed(server: Visitor) -> None:
    """So that the same moves do not always lead to the same game."""
    assert len({server.view("load", None, *SETTINGS)["seed"] for _ in range(3)}) == 3


@pytest.mark.slow
def test_a_model_alone_can_be_played(ranked_run: Path, tmp_path: Path) -> None:
    """Together with the heuristics, as the strongest player."""
    shutil.copyfile(ranked_run / "app" / "models" / "v0001.onnx", tmp_path / "mine.onnx")
    shutil.copytree(ranked_run, tmp_path / "runs" / "demo")
    with serving(command("app", "--model", "mine.onnx", "--port", free_port()), tmp_path) as (address, _):
        visitor = Visitor(address)
        (opponent,) = [
            each["props"] for each in visitor.config["components"] if each["props"].get("elem_id") == "opponent"
        ]
        assert [choice[1] for choice in opponent["choices"]][-2:] == ["minimax:6", "mine"]
        assert opponent["value"] == "mine"
        view = visitor.view("drop", {}, "first", "mine", "mine", 0, "", action=3)
        assert view["names"] == ["You", "mine"]
        assert view["policy"]
    with serving(command("app", "--port", free_port()), tmp_path) as (address, _):
        values = [each["props"].get("value") for each in Visitor(address).config["components"]]
        assert "<h1>Connect Four league</h1><p>Run demo</p>" in values, "the default is the newest run"


def test_an_app_that_cannot_be_served_gets_a_sentence(tmp_path: Path) -> None:
    """A port in use, a missing run, a damaged model: one line each."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = call("app", "--port", taken.getsockname()[1], cwd=tmp_path)
    assert done.returncode == 13
    assert "(address already in use): choose another port or host" in done.stderr
    done = call("app", "--run", "nowhere", "--port", free_port(), cwd=tmp_path)
    assert done.returncode == 3
    assert "nowhere is not a run folder" in done.stderr
    assert not (tmp_path / "nowhere").exists()
    (tmp_path / "broken.onnx").write_bytes(b"broken")
    done = call("app", "--model", "broken.onnx", "--port", free_port(), cwd=tmp_path)
    assert done.returncode == 5
    assert done.stderr == "connectfour: broken.onnx is not a valid ONNX model: export it again\n"


def test_an_app_is_refused_before_networks_are_exported(
    ranked_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A port in use, a model with the name of a member, a file in place of the bundle."""

    def refuse(*_: object) -> None:
        raise AssertionError("networks are exported although the app was to be refused")

    monkeypatch.setattr(bundling, "write_model_files", refuse)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ServerError, match="address already in use"):
            app(ranked_run, port=taken.getsockname()[1])
    shutil.copyfile(ranked_run / "app" / "models" / "v0001.onnx", tmp_path / "v0001.onnx")
    with pytest.raises(PlayerError, match="has the same name as another player, v0001: leave it out or rename it"):
        app(ranked_run, tmp_path / "v0001.onnx", port=free_port())
    run = tmp_path / "demo"
    shutil.copytree(ranked_run, run, ignore=shutil.ignore_patterns("app"))
    (run / "app").touch()
    with pytest.raises(ExportError, match="app is a file: name a folder"):
        app(run, port=free_port())


def test_a_missing_web_library_is_named_first(tmp_path: Path) -> None:
    """With the extra that brings it."""
    code = (
        "import sys; from connectfour.cli import main;"
        "sys.modules['gradio'] = None; sys.argv = ['connectfour', 'app', '--run', 'nowhere']; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    message = "connectfour: the web app needs gradio: install it with pip install 'connectfour-league[web]'\n"
    assert (done.returncode, done.stderr) == (13, message)


def test_serving_loads_neither_ray_nor_torch() -> None:
    """Nor does writing a bundle or a Space."""
    code = (
        "import sys, connectfour.app.serve, connectfour.export.bundling, connectfour.export.space;"
        "print(sorted({'ray', 'torch'} & set(sys.modules)))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"
