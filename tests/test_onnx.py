"""Policies as ONNX files: exported, verified, played, refused."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper

from connectfour.errors import ExportError, PlayerError
from connectfour.export import onnx as exporting
from connectfour.export.onnx import export_onnx
from connectfour.games.connect_four.bitboard import Boards
from connectfour.grading.grade import grade
from connectfour.grading.positions import load_positions
from connectfour.league.snapshots import SnapshotStore, decode_snapshot
from connectfour.players.names import pack_player, parse_player
from connectfour.players.network_player import build_network
from connectfour.players.onnx_model import open_session
from connectfour.players.packed import PackedPlayer
from connectfour.ranking.members import best_player
from connectfour.ranking.table import read_leaderboard
from tests.commands import call
from tests.runs import make_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run."""
    return make_run(tmp_path_factory.mktemp("runs") / "demo")


@pytest.fixture(scope="module")
def model(run: Path) -> Path:
    """Its v0001 as a file."""
    export_onnx(pack_player(f"snapshot:{run}/v1"), run / "v1.onnx")
    return run / "v1.onnx"


@pytest.mark.parametrize("encoder", ["lines", "mlp", "resnet"])
def test_every_encoder_is_exported_and_plays_the_same(encoder: str, tmp_path: Path) -> None:
    """As onnxruntime sees it: any batch, and the same grade as the snapshot."""
    run = make_run(tmp_path / "demo", encoder)
    packed = pack_player(f"snapshot:{run}/main")
    done = export_onnx(packed, tmp_path / "model.onnx")
    assert 0 <= done.difference < 1e-4
    assert done.positions >= 2000
    assert done.size == (tmp_path / "model.onnx").stat().st_size
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    for batch in (1, 3):
        observation, mask = Boards(batch).observe()
        mask[0, 2] = 0
        logits, probabilities, value = session.run(None, {"observation": observation, "action_mask": mask})
        assert (logits.shape, probabilities.shape, value.shape) == ((batch, 7), (batch, 7), (batch,))
        assert logits[0, 2] == np.finfo(np.float32).min
        assert probabilities[0, 2] == 0
    positions = load_positions("dev")
    grades = [
        grade(parse_player(spec, greedy=True), positions).overall
        for spec in (f"snapshot:{run}/main", f"onnx:{done.path}")
    ]
    assert grades[0] == grades[1]


def test_the_file_tells_where_it_is_from(model: Path, run: Path) -> None:
    """One file, with metadata."""
    loaded = onnx.load(model)
    metadata = {entry.key: entry.value for entry in loaded.metadata_props}
    assert metadata["player"] == "demo/v0001"
    assert metadata["sha256"] == SnapshotStore(run / "league").members()["v0001"].sha256
    assert metadata["opset"] == str(loaded.opset_import[0].version)
    assert metadata["version"]
    assert [file.name for file in run.glob("v1*")] == ["v1.onnx"]


def test_the_best_is_the_leaderboards_first_network(ranked_run: Path, tmp_path: Path) -> None:
    """Or without a leaderboard the best graded; also where several runs were ranked and names are longer."""
    best = next(row.player for row in read_leaderboard(ranked_run) if row.player[0] in "vm" and row.player[1] != "i")
    packed, why = best_player(str(ranked_run))
    assert packed.name == best
    assert re.fullmatch(r"rank \d of .*leaderboard.csv", why)
    run = tmp_path / "demo"
    shutil.copytree(ranked_run, run, ignore=shutil.ignore_patterns("app"))
    for file, before, after in (("leaderboard.csv", ",{},", ",demo/{},"), ("matches.jsonl", '"{}"', '"demo/{}"')):
        text = (run / file).read_text()
        (run / file).write_text(text.replace(before.format(best), after.format(best)))
    assert best_player(str(run)) == (packed, why.replace(str(ranked_run), str(run)))
    (run / "leaderboard.csv").unlink()
    packed, why = best_player(str(run))
    assert packed.name == "demo/v0001"
    assert "graded best" in why


def test_a_model_that_differs_is_not_written(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here it has the weights of another snapshot; what stood there before stays."""
    convert, other = exporting._convert, pack_player(f"snapshot:{run}/v2")

    def mixed_up(policy: torch.nn.Module, player: PackedPlayer) -> tuple[bytes, int]:
        return convert(exporting._Policy(build_network(decode_snapshot(other.data, "other"))), player)

    monkeypatch.setattr(exporting, "_convert", mixed_up)
    output = tmp_path / "model.onnx"
    output.write_text("before")
    with pytest.raises(
        ExportError, match=r"onnxruntime does not play as Torch does at batch size 1 .*: nothing is written"
    ):
        export_onnx(pack_player(f"snapshot:{run}/v1"), output)
    assert output.read_text() == "before"
    assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda size, sums: 7 if size == 7 and sums.all() else 0, "does not play as Torch does at batch size 7"),
        (lambda size, sums: 7 if size == 1024 else 0, "does not play as Torch does at batch size 1024"),
        (lambda size, sums: 0 if sums.all() else float("nan"), "a position without a legal column gives NaN"),
    ],
    ids=["7", "1024", "nothing legal"],
)
def test_every_batch_size_is_verified(
    wrong: Callable[[int, np.ndarray], float], message: str, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here onnxruntime errs at one of them only; and where no column is legal."""

    class Wrong:
        """A session that is off by what ``wrong`` says."""

        def __init__(self, data: bytes, source: str) -> None:
            self.session = open_session(data, source)

        def run(self, names: None, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
            mask = inputs["action_mask"]
            off = wrong(len(mask), np.asarray(mask.any(axis=1)))
            return [each + np.float32(off) for each in self.session.run(names, inputs)]

    monkeypatch.setattr(exporting, "open_session", Wrong)
    with pytest.raises(ExportError, match=message):
        export_onnx(pack_player(f"snapshot:{run}/v1"), tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def _damaged(change: Callable[[onnx.ModelProto], None]) -> Callable[[bytes], bytes]:
    def damage(data: bytes) -> bytes:
        model = onnx.load_model_from_string(data)
        change(model)
        return bytes(model.SerializeToString())

    return damage


def _external(model: onnx.ModelProto) -> None:
    tensor = model.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "/etc/passwd"
    tensor.ClearField("raw_data")


def _external_constant(model: onnx.ModelProto) -> None:
    """In a node, at a place that exists."""
    tensor = TensorProto(name="aside", data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="pyproject.toml")
    model.graph.node.append(helper.make_node("Constant", [], ["aside"], value=tensor))


def _other_outputs(model: onnx.ModelProto) -> None:
    del model.graph.output[1]


def _other_shape(model: onnx.ModelProto) -> None:
    model.graph.input[1].type.tensor_type.shape.dim[1].dim_value = 8


def _fixed_batch(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: b"no model", "is no valid ONNX model"),
        (lambda data: data[: len(data) // 2], "is no valid ONNX model"),
        (_damaged(_external), "keeps its weights in other files"),
        (_damaged(_external_constant), "keeps its weights in other files"),
        (_damaged(_other_outputs), "has the outputs logits, value where a player has"),
        (_damaged(_other_shape), "has the inputs observation, action_mask where a player has"),
        (_damaged(_fixed_batch), "has the inputs observation, action_mask where a player has"),
    ],
    ids=["text", "half", "external", "external constant", "outputs", "shape", "batch"],
)
def test_a_model_that_is_no_player_is_refused(
    damage: Callable[[bytes], bytes], message: str, model: Path, tmp_path: Path
) -> None:
    """With one sentence, before anything of it runs."""
    (tmp_path / "bad.onnx").write_bytes(damage(model.read_bytes()))
    with pytest.raises(PlayerError, match=message):
        parse_player(f"onnx:{tmp_path}/bad.onnx")


def test_other_models_and_huge_files_are_refused(tmp_path: Path) -> None:
    """A valid model of something else; a file beyond all sizes; none at all."""
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "relu", ends[:1], ends[1:])
    onnx.save(helper.make_model(graph), tmp_path / "relu.onnx")
    with pytest.raises(PlayerError, match="has the inputs x where a player has observation, action_mask"):
        parse_player(f"onnx:{tmp_path}/relu.onnx")
    with (tmp_path / "huge.onnx").open("wb") as stream:
        stream.truncate(300 * 2**20)
    with pytest.raises(PlayerError, match="more than the 268,435,456 of any model of ours"):
        parse_player(f"onnx:{tmp_path}/huge.onnx")
    with pytest.raises(PlayerError, match="is no file: write onnx:FILE"):
        parse_player(f"onnx:{tmp_path}/nothing.onnx")


def test_the_command_exports_plays_and_refuses(run: Path, tmp_path: Path) -> None:
    """The best of a run, into a file that plays; a heuristic is no network, a folder no file."""
    done = call("export-onnx", run, "--output", tmp_path / "best.onnx")
    assert done.returncode == 0, done.stderr
    assert "demo/v0001 (graded best while it trained" in done.stdout
    assert "opset 20; onnxruntime agrees with Torch on 2,100 positions" in done.stdout
    assert call("match", f"onnx:{tmp_path}/best.onnx", "heuristic:random", "--games", 10).returncode == 0
    refused = call("export-onnx", run, "--output", ".", cwd=tmp_path)
    assert (refused.returncode, refused.stderr) == (
        11,
        "connectfour: . cannot be written: name a file in a folder that exists\n",
    )
    refused = call("export-onnx", "heuristic:linear", "--output", tmp_path / "linear.onnx")
    assert (refused.returncode, refused.stderr) == (
        11,
        "connectfour: linear is no network but a heuristic: name a run or a snapshot\n",
    )
    assert not (tmp_path / "linear.onnx").exists()
