"""The web app as its server sees it: forged requests, closed doors, sentences for what cannot be served."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from connectfour.app.bundle import Bundle
from connectfour.app.roster import Roster
from connectfour.app.sitting import Sitting
from connectfour.errors import PlayerError
from connectfour.export.bundle import write_bundle
from connectfour.export.onnx import export_onnx
from connectfour.game.single import Game
from connectfour.players.player import pack_player
from tests.runs import QUIET, make_ranked_run, make_run
from tests.test_cli import call, command
from tests.web import free_port, serving


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ranked run with its bundle."""
    run = make_ranked_run(tmp_path_factory.mktemp("runs") / "demo")
    write_bundle(run / "app", QUIET, run=run)
    return run


@pytest.fixture(scope="module")
def roster(run: Path) -> Roster:
    """Its players."""
    return Roster(Bundle(run / "app"))


@pytest.fixture(scope="module")
def server(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """The app, serving the run."""
    folder = tmp_path_factory.mktemp("server")
    with (
        serving(command("app", "--run", run, "--port", free_port()), folder, forged=True) as (address, _),
        httpx.Client(base_url=address, timeout=30) as client,
    ):
        yield client


def ask(client: httpx.Client, event: str, kept: object, *settings: object, **told: object) -> httpx.Response:
    """Send an event of the board as a browser does, with whatever in it."""
    config = client.get("config").json()
    (board,) = [each["id"] for each in config["components"] if each["props"].get("elem_id") == "board"]
    (function,) = [each["id"] for each in config["dependencies"] if [board, event] in each["targets"]]
    request = {"data": [kept, *settings], "event_data": told, "fn_index": function, "trigger_id": board}
    return client.post("gradio_api/run/predict", json={**request, "session_hash": "visitor"})


SETTINGS = ("first", "linear", "linear", 0, "")


def test_a_move_is_answered(server: httpx.Client) -> None:
    """As the browser tests do, without the browser."""
    view = ask(server, "drop", {"moves": "44"}, *SETTINGS, column=3).json()["data"][0]
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
    ],
)
def test_a_game_that_makes_no_sense_is_an_empty_board(kept: object, server: httpx.Client) -> None:
    """The server remembers nothing, and believes nothing."""
    view = ask(server, "drop", kept, *SETTINGS, column=0).json()["data"][0]
    assert len(view["moves"]) == 2
    assert view["moves"][0] == "1"


@pytest.mark.parametrize("column", [None, 7, -1, "3", 3.5, [3], {"x": 1}])
def test_a_column_that_is_none_moves_nothing(column: object, server: httpx.Client) -> None:
    """With a sentence."""
    view = ask(server, "drop", {"moves": "44"}, *SETTINGS, column=column).json()["data"][0]
    assert view["moves"] == "44"
    assert "is no column" in view["notice"]


@pytest.mark.parametrize("player", ["../../etc/passwd", "onnx:/etc/passwd", "models/v0001.onnx", "", None])
def test_players_are_ids_of_a_fixed_list(player: object, server: httpx.Client) -> None:
    """Never a path."""
    refused = ask(server, "drop", {"moves": ""}, "first", player, "linear", 0, "", column=3)
    assert refused.status_code >= 400
    assert "passwd" not in refused.text or "choice" in refused.text.lower() or "list" in refused.text


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
        ("PUT", ""),
    ],
)
def test_what_the_page_does_not_need_is_closed(method: str, path: str, server: httpx.Client) -> None:
    """No uploads, no files, no fetching for others."""
    files = {"files": b"data"} if path.endswith("upload") else None
    assert server.request(method, path, files=files).status_code in {404, 405}


def test_long_requests_are_refused(server: httpx.Client) -> None:
    """Before they are read."""
    assert server.post("gradio_api/run/predict", content=b"x" * 100_000).status_code == 413


def test_the_page_names_no_other_host(server: httpx.Client) -> None:
    """No fonts, scripts or counters from elsewhere."""
    page = server.get("/").text
    for attribute in ('src="http', 'href="http', "url(http"):
        assert attribute not in page


def test_a_game_at_a_temperature_varies_and_is_repeatable(roster: Roster) -> None:
    """Seeds of the sitting decide; at 0 there is one answer."""

    def answers(temperature: float) -> set[str]:
        strongest = roster.analyst or ""
        sittings = [Sitting.of({"seed": seed}, "second", strongest, strongest, temperature) for seed in range(30)]
        first = {sitting.answered(roster).game.moves for sitting in sittings}
        assert first == {sitting.answered(roster).game.moves for sitting in sittings}
        return first

    assert len(answers(0)) == 1
    assert len(answers(10)) > 3


def test_chance_belongs_to_who_moved_first(roster: Roster) -> None:
    """A game that is over is certain; the policy covers open columns only."""

    def view(moves: str) -> dict[str, Any]:
        return Sitting(Game.parse(moves), "first", "linear", "linear").view(roster)

    assert view("1213141")["chance"] == 1
    assert view("71213141")["chance"] == 0
    shown = view("444444")
    assert shown["policy"][3] == 0
    assert sum(shown["policy"]) == pytest.approx(1, abs=1e-3)
    assert 0 < shown["chance"] < 1
    assert view("4")["open"] == [], "it is the agent's turn"


def test_a_bundle_is_kept_where_it_is_up_to_date(run: Path, tmp_path: Path) -> None:
    """Only what has changed is exported again; who is gone goes; the strongest are taken."""
    folder = tmp_path / "bundle"
    players = write_bundle(folder, QUIET, run=run, top=2)
    networks = [player for player in players if player.kind == "network"]
    assert len(networks) == 2
    ratings = [player.rating for player in players]
    assert ratings == sorted(ratings, key=lambda rating: rating or 0)
    models = folder / "models"
    kept = {file.name: file.stat().st_mtime_ns for file in models.iterdir()}
    assert set(kept) == {player.file for player in networks}
    first = min(kept)
    (models / first).write_bytes(b"damaged")
    (models / "stranger.onnx").write_bytes(b"x")
    write_bundle(folder, QUIET, run=run, top=2)
    now = {file.name: file.stat().st_mtime_ns for file in models.iterdir()}
    assert set(now) == set(kept)
    assert {name for name in kept if now[name] != kept[name]} == {first}
    assert Bundle(folder).pack(networks[-1].id).kind == "onnx"
    assert len(Bundle(folder).games) > 10


def test_a_damaged_bundle_gets_a_sentence(run: Path, tmp_path: Path) -> None:
    """None at all, an index that is none, a line that is no game."""
    with pytest.raises(PlayerError, match="is no bundle"):
        Bundle(tmp_path)
    (tmp_path / "players.json").write_text('{"title": 1}')
    with pytest.raises(PlayerError, match="is damaged: write the bundle again"):
        Bundle(tmp_path)
    (tmp_path / "players.json").write_bytes((run / "app" / "players.json").read_bytes())
    (tmp_path / "games.jsonl").write_text('{"id": 1}\n')
    with pytest.raises(PlayerError, match=r"line 1 of .* is no game"):
        _ = Bundle(tmp_path).games
    with pytest.raises(PlayerError, match="is no file"):
        Bundle(tmp_path).pack("v0001")
    with pytest.raises(PlayerError, match="nobody here is called 'x'"):
        Bundle(tmp_path).pack("x")


def test_a_model_alone_can_be_played(tmp_path: Path) -> None:
    """With the heuristics; it is the strongest."""
    run = make_run(tmp_path / "demo")
    export_onnx(pack_player(f"snapshot:{run}/v1"), "as named", tmp_path / "mine.onnx")
    with (
        serving(command("app", "--model", tmp_path / "mine.onnx", "--port", free_port()), tmp_path) as (address, _),
        httpx.Client(base_url=address, timeout=30) as client,
    ):
        view = ask(client, "drop", {}, "first", "mine", "mine", 0, "", column=3).json()["data"][0]
        assert view["names"] == ["You", "mine"]
        assert view["policy"]
    assert json.loads((tmp_path / "demo" / "league" / "manifest.json").read_text())


def test_what_cannot_be_served_gets_a_sentence(tmp_path: Path) -> None:
    """A used port, no run, a broken model; one line each."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = call("app", "--port", taken.getsockname()[1], cwd=tmp_path)
    assert done.returncode == 13
    assert "cannot be served from (address already in use): name another --port or --host" in done.stderr
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
