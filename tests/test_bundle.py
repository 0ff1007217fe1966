"""Bundles: written from runs, kept up to date, refused if they are damaged."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import onnx
import pytest

from connectfour.app.bundle import Bundle, BundledPlayer
from connectfour.app.opponents import Opponents
from connectfour.errors import ExportError, PlayerError, RankingError, ServerError
from connectfour.export import bundling
from connectfour.export.bundling import plan_bundle, write_bundle
from connectfour.settings.game import GameSettings
from connectfour.standings.best import best_player
from connectfour.standings.leaderboard import Order
from connectfour.system.observer import Observer
from connectfour.tournament.session import rebuild_tables
from tests.runs import make_ranked_tictactoe_run, make_run


def _write(folder: Path, run: Path, top: int | None = None) -> tuple[BundledPlayer, ...]:
    return write_bundle(folder, plan_bundle(run, top=top))


@pytest.mark.slow
def test_models_that_are_up_to_date_are_kept(ranked_run: Path, tmp_path: Path) -> None:
    """Only changed models are exported again, models of other players are removed, and the strongest are taken."""
    run, folder, models = tmp_path / "demo", tmp_path / "bundle", tmp_path / "bundle" / "models"
    shutil.copytree(ranked_run, run)
    shutil.copytree(run / "app", folder)
    everyone = Bundle(folder).players
    players = _write(folder, run, top=2)
    networks = [player for player in players if player.kind == "network"]
    assert [player.id for player in networks] == [each.id for each in everyone.values() if each.kind == "network"][-2:]
    ratings = [player.rating for player in players]
    assert ratings == sorted(ratings, key=lambda rating: rating or 0)
    kept = {file.name: file.stat().st_mtime_ns for file in models.iterdir()}
    assert set(kept) == {player.file for player in networks}
    first, second = sorted(kept)
    (models / first).write_bytes((models / second).read_bytes())
    (models / "stranger.onnx").write_bytes(b"x")
    _write(folder, run, top=2)
    now = {file.name: file.stat().st_mtime_ns for file in models.iterdir()}
    assert set(now) == set(kept)
    assert now[second] == kept[second]
    metadata = {entry.key: entry.value for entry in onnx.load(models / first).metadata_props}
    assert metadata["player"] == first.removesuffix(".onnx"), "the model of another player is replaced"
    assert Bundle(folder).pack(networks[-1].id).kind == "onnx"
    assert len(Bundle(folder).games) > 10


def test_players_are_in_the_order_of_the_leaderboard(ranked_run: Path, tmp_path: Path) -> None:
    """Whatever it was sorted by, the strongest is last; and it is the best network of the run."""
    run = tmp_path / "demo"
    shutil.copytree(ranked_run, run)
    orders: tuple[Order, ...] = ("posterior", "trueskill")
    found = []
    for order in orders:
        ranked = [line.name for line in rebuild_tables(run, order).standings]
        players = plan_bundle(run).players
        assert [player.name for player in players[::-1]] == ranked
        assert best_player(str(run))[0] == next(player for player in players[::-1] if player.is_network)
        found.append(ranked)
    assert found[0] != found[1]


@pytest.mark.slow
def test_the_progress_of_the_export_is_shown(ranked_run: Path, tmp_path: Path) -> None:
    """Observers hear how many networks are exported, and nothing if all are up to date."""

    class Listener(Observer):
        """Keeps what it hears."""

        def __init__(self) -> None:
            self.lines: list[str] = []

        def show(self, line, picture=None, *, urgent=False) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
            self.lines.append(line())

    listener = Listener()
    shutil.copytree(ranked_run / "app", tmp_path / "bundle")
    (tmp_path / "bundle" / "models" / "v0001.onnx").unlink()
    write_bundle(tmp_path / "bundle", plan_bundle(ranked_run), listener)
    assert listener.lines == ["Exported 0 of 1 networks", "Exported 1 of 1 networks"]
    write_bundle(tmp_path / "bundle", plan_bundle(ranked_run), listener)
    assert len(listener.lines) == 2


def test_asking_for_more_networks_than_there_are_takes_all(ranked_run: Path, tmp_path: Path) -> None:
    """``top`` is a limit."""
    shutil.copytree(ranked_run / "app", tmp_path / "bundle")
    players = _write(tmp_path / "bundle", ranked_run, top=5)
    assert len([player for player in players if player.kind == "network"]) == 3


def test_unranked_networks_come_before_ranked_ones(ranked_run: Path, tmp_path: Path) -> None:
    """A run may have been trained further since its ranking, or ranked together with others under longer names."""
    run = tmp_path / "demo"
    shutil.copytree(ranked_run, run)
    shutil.copytree(run / "app", tmp_path / "bundle")
    ranked = _write(tmp_path / "bundle", run)
    names = [player.id for player in ranked if player.kind == "network"]
    for file in (run / "leaderboard.csv", run / "matches.jsonl"):
        text = file.read_text()
        for name in names:
            text = text.replace(f",{name},", f",demo/{name},").replace(f'"{name}"', f'"demo/{name}"')
        file.write_text(text)
    assert _write(tmp_path / "bundle", run) == ranked
    rows = (run / "leaderboard.csv").read_text().splitlines()
    (run / "leaderboard.csv").write_text("".join(f"{row}\n" for row in rows if f"demo/{names[-1]}" not in row))
    now = [player for player in _write(tmp_path / "bundle", run) if player.kind == "network"]
    assert [player.id for player in now] == [names[-1], *names[:-1]]
    assert now[0].rating is None


def test_an_interrupted_ranking_does_not_prevent_a_bundle(ranked_run: Path, tmp_path: Path) -> None:
    """Its log may have no players yet; networks are then ordered by their grades."""
    run = tmp_path / "demo"
    shutil.copytree(ranked_run, run)
    (run / "leaderboard.csv").unlink()
    (run / "matches.jsonl").write_text('{"settings":{"rules":"x","opening_plies":4}}\n')
    shutil.copytree(run / "app", tmp_path / "bundle")
    players = _write(tmp_path / "bundle", run)
    assert [player.id for player in players[-3:]] == ["main@3", "v0002", "v0001"]
    assert Bundle(tmp_path / "bundle").games == []
    assert Bundle(tmp_path / "bundle").leaderboard == [], "the leaderboard of the earlier bundle is removed"
    (run / "leaderboard.csv").write_text("rank,player\n1,v0001\n")
    with pytest.raises(RankingError, match=r"leaderboard.csv is damaged: rebuild it with connectfour rank --rebuild"):
        plan_bundle(run)


def test_a_plan_refuses_what_cannot_be_bundled(ranked_run: Path, tmp_path: Path) -> None:
    """Reading finds every fault of a run or model, so that no network is exported in vain."""
    shutil.copyfile(ranked_run / "app" / "models" / "v0001.onnx", tmp_path / "v0002.onnx")
    with pytest.raises(PlayerError, match=r"v0002.onnx has the same name as another player, v0002: leave it out or"):
        plan_bundle(ranked_run, tmp_path / "v0002.onnx")
    shutil.copytree(ranked_run, tmp_path / "demo")
    with (tmp_path / "demo" / "matches.jsonl").open("a") as log:
        log.write("{}\n")
    with pytest.raises(RankingError, match=r"line \d+ of .*matches.jsonl is damaged"):
        plan_bundle(tmp_path / "demo")


def test_players_join_a_bundle_by_name(tmp_path: Path) -> None:
    """With a run or without one; then the game, unless it is Connect Four, must be named."""
    tictactoe = GameSettings(name="tictactoe")
    plan = plan_bundle(game=tictactoe, players=["heuristic:minimax:4", "heuristic:minimax:2"])
    assert plan.game == tictactoe
    assert [player.name for player in plan.players][-2:] == ["minimax:4", "minimax:2"]
    assert plan.title == "Heuristics and minimax:4 and minimax:2"
    write_bundle(tmp_path / "bundle", plan)
    assert Opponents(Bundle(tmp_path / "bundle")).strongest == "minimax:2"
    with pytest.raises(PlayerError, match=r"heuristic 'linear' does not play tictactoe"):
        plan_bundle(game=tictactoe, players=["heuristic:linear"])
    run = make_run(tmp_path / "run", "mlp", ("random",), ("main",))
    with pytest.raises(PlayerError, match=r"run plays connect_four, not tictactoe: leave out the game"):
        plan_bundle(run, game=tictactoe)


def test_a_folder_that_cannot_be_written_is_refused_first(
    ranked_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file, a folder whose parent is missing, one without permission."""

    def refuse(*_: object) -> None:
        raise AssertionError("networks are exported although the folder cannot be written")

    monkeypatch.setattr(bundling, "write_model_files", refuse)
    plan = plan_bundle(ranked_run)
    (tmp_path / "file").touch()
    with pytest.raises(ExportError, match="file is a file: name a folder"):
        write_bundle(tmp_path / "file", plan)
    with pytest.raises(ExportError, match="missing does not exist: create it, or name another folder"):
        write_bundle(tmp_path / "missing" / "bundle", plan)
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(ExportError, match="bundle is not writable: change its permissions, or name another folder"):
        write_bundle(tmp_path / "bundle", plan)
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_a_bundle_records_its_game(ranked_run: Path, tmp_path: Path) -> None:
    """One without it, of an earlier release, is of Connect Four. A model of another game is refused."""
    run = make_ranked_tictactoe_run(tmp_path / "run")
    players = _write(tmp_path / "bundle", run)
    assert {player.id for player in players} == {"random", "minimax:2", "minimax:9"}
    bundle = Bundle(tmp_path / "bundle")
    assert (bundle.game.name, bundle.empty.title) == ("tictactoe", "Tic-tac-toe")
    assert bundle.pack("minimax:9").game == bundle.game
    assert len(bundle.games) == 6
    assert all(recorded.game.moves.startswith("5 1 ") for recorded in bundle.games)
    shutil.copytree(ranked_run / "app", tmp_path / "old")
    index = json.loads((tmp_path / "old" / "players.json").read_text())
    assert index.pop("game")["name"] == "connect_four"
    (tmp_path / "old" / "players.json").write_text(json.dumps(index))
    assert Bundle(tmp_path / "old").game.name == "connect_four"
    assert len(Bundle(tmp_path / "old").games) > 10
    (tmp_path / "old" / "games.jsonl").unlink()
    index["game"] = "tictactoe"
    (tmp_path / "old" / "players.json").write_text(json.dumps(index))
    with pytest.raises(PlayerError, match=r"v0001.onnx in .* plays connect_four, not tictactoe: write the bundle"):
        Bundle(tmp_path / "old").pack("v0001")
    model = ranked_run / "app" / "models" / "v0001.onnx"
    with pytest.raises(PlayerError, match=r"v0001.onnx plays connect_four, not tictactoe: name a player of"):
        plan_bundle(run, model)


def test_a_game_without_a_picture_has_no_page(tmp_path: Path) -> None:
    """Neither the app nor a bundle of it; one sentence says what to do instead."""
    zoo = "pettingzoo:pettingzoo.classic.tictactoe_v3"
    run = make_run(tmp_path / "run", "mlp", ("random",), ("main",), game=GameSettings(name=zoo))
    with pytest.raises(ServerError, match=f"{zoo} has no picture to show on a page: play in the terminal with connect"):
        plan_bundle(run)


def test_a_damaged_bundle_gets_a_sentence(ranked_run: Path, tmp_path: Path) -> None:
    """A folder without an index, a damaged index, a line that is not a game, a missing model."""
    with pytest.raises(PlayerError, match="is not a bundle"):
        Bundle(tmp_path)
    twice = '{"title": "x", "players": [{"id": "linear", "kind": "heuristic"}, {"id": "linear", "kind": "heuristic"}]}'
    without_file = '{"title": "x", "players": [{"id": "v1", "kind": "network"}]}'
    for text in ('{"title": 1}', '{"title": "x", "players": []}', twice, without_file):
        (tmp_path / "players.json").write_text(text)
        with pytest.raises(PlayerError, match="is damaged: write the bundle again"):
            Bundle(tmp_path)
    (tmp_path / "players.json").write_bytes((ranked_run / "app" / "players.json").read_bytes())
    (tmp_path / "games.jsonl").write_text('{"id": 1}\n')
    with pytest.raises(PlayerError, match=r"line 1 of .* is not a game"):
        _ = Bundle(tmp_path).games
    with pytest.raises(PlayerError, match="is not a file"):
        Opponents(Bundle(tmp_path))
    with pytest.raises(PlayerError, match="there is no player 'x' here: choose one from the list"):
        Bundle(tmp_path).pack("x")
