"""The web app as its server sees it: forged requests, closed doors, sentences for what cannot be served."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest

from connectfour.app.bundle import Bundle
from connectfour.app.roster import Roster
from connectfour.app.sitting import Sitting
from connectfour.app.tables import leaderboard_html, recorded_label
from connectfour.errors import PlayerError, RankingError
from connectfour.export.bundle import write_bundle
from connectfour.game.single import Game
from connectfour.ranking.records import GameRecord, GameSpec
from connectfour.ranking.table import Row
from tests.commands import call, command
from tests.doubles import Sure
from tests.runs import QUIET
from tests.web import Visitor, free_port, serving


@pytest.fixture(scope="module")
def roster(ranked_run: Path) -> Roster:
    """Players of a ranked run."""
    return Roster(Bundle(ranked_run / "app"))


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
    assert "is no column" in view["notice"]


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


def test_chance_belongs_to_who_moved_first(roster: Roster, monkeypatch: pytest.MonkeyPatch) -> None:
    """A game that is over is certain; the policy covers open columns only."""
    monkeypatch.setattr(roster, "player", lambda *_: Sure("sure"))

    def view(moves: str) -> dict[str, Any]:
        return Sitting(Game.parse(moves), "first", "linear", "linear").view(roster)

    assert view("1213141")["chance"] == 1
    assert view("71213141")["chance"] == 0
    assert view("44")["chance"] == 0.75
    assert view("4")["chance"] == 0.25
    shown = view("444444")
    assert shown["policy"][3] == 0
    assert shown["policy"].index(max(shown["policy"])) == 4
    assert sum(shown["policy"]) == pytest.approx(1, abs=1e-3)
    assert view("4")["open"] == [], "it is the agent's turn"
    assert Sitting(Game(), "first", "linear", "linear").advised(roster).view(roster)["hint"] == 4


def test_the_analyst_is_the_strongest_network(roster: Roster, ranked_run: Path) -> None:
    """By its rating."""
    networks = [player for player in Bundle(ranked_run / "app").players.values() if player.kind == "network"]
    assert roster.analyst == max(networks, key=lambda player: player.rating or 0).id


def test_it_is_a_visitors_turn_or_not(roster: Roster) -> None:
    """Nobody moves for an agent, nor after the end; who watches takes single moves back."""
    sitting = Sitting(Game.parse("44"), "second", "linear", "random")
    assert sitting.drop(3).notice == "It is not your turn."
    over = Sitting(Game.parse("1213141"), "first", "linear", "random")
    assert over.drop(3).notice.startswith("The game is over")
    assert over.advised(roster).notice == "The game is over."
    watched = replace(sitting, seat="watch")
    assert watched.undo().game.moves == "4"
    assert watched.answered(roster) == watched
    assert len(watched.answered(roster, watched=True).game.moves) == 3
    assert watched.swap(0).agents == ("random", "linear")


def test_each_seat_is_played_by_its_own_agent(roster: Roster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a visitor watches."""
    asked: list[str] = []

    def player(name: str, temperature: float) -> Sure:
        asked.append(name)
        return Sure(name, temperature=temperature)

    monkeypatch.setattr(roster, "player", player)
    sitting = Sitting(Game(), "watch", "one", "other")
    for _ in range(3):
        sitting = sitting.answered(roster, watched=True)
    assert asked == ["one", "other", "one"]


def test_whoever_opens_a_shared_position_is_to_move() -> None:
    """But for those who watch; and a game that is over keeps its winner when players are changed."""
    sitting = Sitting(Game(), "first", "linear", "random")
    assert sitting.paste("443").seat == "second"
    assert replace(sitting, seat="watch").paste("443").seat == "watch"
    assert replace(sitting, seat="watch").take_over("443").seat == "second"
    assert sitting.paste("44").swap(7).game.moves == "44"
    assert sitting.paste("1213141").swap(7) == replace(sitting, seat="first", seed=7)
    assert sitting.paste("1213141").settled(7).game == Game()


def test_a_bundle_is_kept_where_it_is_up_to_date(ranked_run: Path, tmp_path: Path) -> None:
    """Only what has changed is exported again; who is gone goes; the strongest are taken."""
    run, folder, models = tmp_path / "demo", tmp_path / "bundle", tmp_path / "bundle" / "models"
    shutil.copytree(ranked_run, run)
    shutil.copytree(run / "app", folder)
    everyone = Bundle(folder).players
    players = write_bundle(folder, QUIET, run=run, top=2)
    networks = [player for player in players if player.kind == "network"]
    assert [player.id for player in networks] == [each.id for each in everyone.values() if each.kind == "network"][-2:]
    ratings = [player.rating for player in players]
    assert ratings == sorted(ratings, key=lambda rating: rating or 0)
    kept = {file.name: file.stat().st_mtime_ns for file in models.iterdir()}
    assert set(kept) == {player.file for player in networks}
    first, second = sorted(kept)
    (models / first).write_bytes((models / second).read_bytes())
    (models / "stranger.onnx").write_bytes(b"x")
    write_bundle(folder, QUIET, run=run, top=2)
    now = {file.name: file.stat().st_mtime_ns for file in models.iterdir()}
    assert set(now) == set(kept)
    assert now[second] == kept[second]
    metadata = {entry.key: entry.value for entry in onnx.load(models / first).metadata_props}
    assert metadata["player"] == first.removesuffix(".onnx"), "another's model was not taken for its own"
    assert Bundle(folder).pack(networks[-1].id).kind == "onnx"
    assert len(Bundle(folder).games) > 10


def test_more_networks_than_there_are_can_be_asked_for(ranked_run: Path, tmp_path: Path) -> None:
    """Then all are taken."""
    shutil.copytree(ranked_run / "app", tmp_path / "bundle")
    players = write_bundle(tmp_path / "bundle", QUIET, run=ranked_run, top=5)
    assert len([player for player in players if player.kind == "network"]) == 3


def test_who_is_not_ranked_yet_is_not_the_strongest(ranked_run: Path, tmp_path: Path) -> None:
    """A run that was trained further since; and one that was ranked together with others keeps its ratings."""
    run = tmp_path / "demo"
    shutil.copytree(ranked_run, run)
    shutil.copytree(run / "app", tmp_path / "bundle")
    ranked = write_bundle(tmp_path / "bundle", QUIET, run=run)
    names = [player.id for player in ranked if player.kind == "network"]
    for file in (run / "leaderboard.csv", run / "matches.jsonl"):
        text = file.read_text()
        for name in names:
            text = text.replace(f",{name},", f",demo/{name},").replace(f'"{name}"', f'"demo/{name}"')
        file.write_text(text)
    assert write_bundle(tmp_path / "bundle", QUIET, run=run) == ranked
    rows = (run / "leaderboard.csv").read_text().splitlines()
    (run / "leaderboard.csv").write_text("".join(f"{row}\n" for row in rows if f"demo/{names[-1]}" not in row))
    now = [player for player in write_bundle(tmp_path / "bundle", QUIET, run=run) if player.kind == "network"]
    assert [player.id for player in now] == [names[-1], *names[:-1]]
    assert now[0].rating is None


def test_each_visitor_gets_another_seed(server: Visitor) -> None:
    """So that the same moves do not always get the same game."""
    assert len({server.view("load", None, *SETTINGS)["seed"] for _ in range(3)}) == 3


def test_a_recorded_game_has_a_line_of_its_own() -> None:
    """Who played whom, and who won."""
    game = GameRecord.of(GameSpec(7, "one", "other"), "win", 1, moves="1213141")
    lost = replace(game, result=-1)
    assert recorded_label(game) == "one - other  1:0 · 7 moves · no. 7"
    assert "0:1" in recorded_label(lost)


def test_names_are_no_html() -> None:
    """They come from file names and logs."""
    row = {"rank": 1, "player": "<script>x</script>", "mu": 1, "high95": 2, "wins": 0, "draws": 0, "losses": 0}
    shares = {"win_rate_first": None, "win_rate_second": 0.5, "graded": None}
    shown = leaderboard_html([Row.model_validate({**row, **shares})])
    assert "<script>" not in shown
    assert (
        "<td>&lt;script&gt;x&lt;/script&gt;</td><td>1.0</td><td>1.0</td><td>0/0/0</td><td>-</td><td>0.50</td>" in shown
    )


def test_an_interrupted_ranking_is_no_obstacle(ranked_run: Path, tmp_path: Path) -> None:
    """Its log has no players yet."""
    run = tmp_path / "demo"
    shutil.copytree(ranked_run, run)
    (run / "leaderboard.csv").unlink()
    (run / "matches.jsonl").write_text('{"settings":{"rules":"x","opening_plies":4}}\n')
    shutil.copytree(run / "app", tmp_path / "bundle")
    players = write_bundle(tmp_path / "bundle", QUIET, run=run)
    assert [player.id for player in players[-3:]] == ["main@3", "v0002", "v0001"], "by their grades"
    assert Bundle(tmp_path / "bundle").games == []
    (run / "leaderboard.csv").write_text("rank,player\n1,v0001\n")
    with pytest.raises(RankingError, match=r"leaderboard.csv is damaged: connectfour rank --replay"):
        write_bundle(tmp_path / "bundle", QUIET, run=run)


def test_a_damaged_bundle_gets_a_sentence(ranked_run: Path, tmp_path: Path) -> None:
    """None at all, an index that is none, a line that is no game."""
    with pytest.raises(PlayerError, match="is no bundle"):
        Bundle(tmp_path)
    twice = '{"title": "x", "players": [{"id": "linear", "kind": "heuristic"}, {"id": "linear", "kind": "heuristic"}]}'
    fileless = '{"title": "x", "players": [{"id": "v1", "kind": "network"}]}'
    for text in ('{"title": 1}', '{"title": "x", "players": []}', twice, fileless):
        (tmp_path / "players.json").write_text(text)
        with pytest.raises(PlayerError, match="is damaged: write the bundle again"):
            Bundle(tmp_path)
    (tmp_path / "players.json").write_bytes((ranked_run / "app" / "players.json").read_bytes())
    (tmp_path / "games.jsonl").write_text('{"id": 1}\n')
    with pytest.raises(PlayerError, match=r"line 1 of .* is no game"):
        _ = Bundle(tmp_path).games
    with pytest.raises(PlayerError, match="is no file"):
        Roster(Bundle(tmp_path))
    with pytest.raises(PlayerError, match="nobody here is called 'x'"):
        Bundle(tmp_path).pack("x")


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
