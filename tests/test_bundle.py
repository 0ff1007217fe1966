"""Bundles: written from runs, kept up to date, refused where they are damaged."""

from __future__ import annotations

import shutil
from pathlib import Path

import onnx
import pytest

from connectfour.app.bundle import Bundle
from connectfour.app.roster import Roster
from connectfour.errors import PlayerError, RankingError
from connectfour.export.bundle import write_bundle
from tests.runs import QUIET


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
