"""The web app as its server sees it: forged requests, closed doors, sentences for what cannot be served."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

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
    """As the browser tests do, without the browser."""
    view = server.view("drop", {"moves": "44"}, *SETTINGS, column=3)
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
def test_a_game_that_makes_no_sense_is_an_empty_board(kept: object, server: Visitor) -> None:
    """The server remembers nothing, and believes nothing."""
    view = server.view("drop", kept, *SETTINGS, column=0)
    assert len(view["moves"]) == 2
    assert view["moves"][0] == "1"


@pytest.mark.parametrize("column", [None, 7, -1, "3", 3.5, [3], {"x": 1}])
def test_a_column_that_is_none_moves_nothing(column: object, server: Visitor) -> None:
    """With a sentence."""
    view = server.view("drop", {"moves": "44"}, *SETTINGS, column=column)
    assert view["moves"] == "44"
    assert "no column" in view["notice"]


@pytest.mark.parametrize("player", ["../../etc/passwd", "onnx:/etc/passwd", "models/v0001.onnx", "", None])
def test_players_are_ids_of_a_fixed_list(player: object, server: Visitor) -> None:
    """Never a path."""
    refused = server.ask("drop", {"moves": ""}, "first", player, "linear", 0, "", column=3)
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
def test_what_the_page_does_not_need_is_closed(method: str, path: str, server: Visitor) -> None:
    """No uploads, no files, no fetching for others."""
    files = {"files": b"data"} if path.endswith("upload") else None
    closed = server.http.request(method, path, files=files)
    assert (closed.status_code, closed.text) == (404, "" if method == "HEAD" else "not found")


def test_long_requests_are_refused(server: Visitor) -> None:
    """Before they are read."""
    assert server.http.post("gradio_api/run/predict", content=b"x" * 100_000).status_code == 413
    assert server.http.post("gradio_api/run/predict", content=iter([b"x"] * 10)).status_code == 413, "of unknown length"


def test_the_page_names_no_other_host(server: Visitor) -> None:
    """No fonts, scripts or counters from elsewhere."""
    page = server.http.get("/").text
    for attribute in ('src="http', 'href="http', "url(http"):
        assert attribute not in page


def test_each_visitor_gets_another_seed(server: Visitor) -> None:
    """So that the same moves do not always get the same game."""
    assert len({server.view("load", None, *SETTINGS)["seed"] for _ in range(3)}) == 3


def test_a_model_alone_can_be_played(ranked_run: Path, tmp_path: Path) -> None:
    """With the heuristics; it is the strongest."""
    shutil.copyfile(ranked_run / "app" / "models" / "v0001.onnx", tmp_path / "mine.onnx")
    shutil.copytree(ranked_run, tmp_path / "runs" / "demo")
    with serving(command("app", "--model", "mine.onnx", "--port", free_port()), tmp_path) as (address, _):
        visitor = Visitor(address)
        (opponent,) = [
            each["props"] for each in visitor.config["components"] if each["props"].get("elem_id") == "opponent"
        ]
        assert [choice[1] for choice in opponent["choices"]][-2:] == ["minimax:6", "mine"]
        assert opponent["value"] == "mine"
        view = visitor.view("drop", {}, "first", "mine", "mine", 0, "", column=3)
        assert view["names"] == ["You", "mine"]
        assert view["policy"]
    with serving(command("app", "--port", free_port()), tmp_path) as (address, _):
        names = [each["props"].get("value") for each in Visitor(address).config["components"]]
        assert "# Connect Four\nThe league of demo" in names, "without options the newest run"


def test_what_cannot_be_served_gets_a_sentence(tmp_path: Path) -> None:
    """A used port, no run, a broken model; one line each."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = call("app", "--port", taken.getsockname()[1], cwd=tmp_path)
    assert done.returncode == 13
    assert "cannot be served from (address already in use): choose another port or host" in done.stderr
    done = call("app", "--run", "nowhere", "--port", free_port(), cwd=tmp_path)
    assert done.returncode == 3
    assert "nowhere is no run folder" in done.stderr
    assert not (tmp_path / "nowhere").exists()
    (tmp_path / "broken.onnx").write_bytes(b"broken")
    done = call("app", "--model", "broken.onnx", "--port", free_port(), cwd=tmp_path)
    assert done.returncode == 5
    assert done.stderr == "connectfour: broken.onnx is no valid ONNX model: export it again\n"


def test_serving_loads_neither_ray_nor_torch() -> None:
    """Nor does writing a bundle in the process that serves it."""
    code = (
        "import sys, connectfour.app.serve, connectfour.export.bundle, connectfour.export.space;"
        "print(sorted({'ray', 'torch'} & set(sys.modules)))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"
