"""Policies as ONNX files: exported, verified, played, refused."""

from __future__ import annotations

import os
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
from connectfour.export import onnx_file, onnx_graph
from connectfour.export.onnx_file import export_onnx, verify
from connectfour.games.connect_four.bitboard import Boards
from connectfour.games.openings import random_openings
from connectfour.games.registry import make_game
from connectfour.grading.grade import grade
from connectfour.grading.positions import load_positions
from connectfour.league.manifest import read_members
from connectfour.league.snapshots import decode_snapshot
from connectfour.networks.network import GameNetwork, make_network
from connectfour.players.names import encode_player, parse_player
from connectfour.players.network_player import build_network
from connectfour.players.onnx_model import open_session
from connectfour.runs.checkpoints import CHECKPOINT_POLICY
from connectfour.runs.folder import RunFolder
from connectfour.settings.network import Architecture
from connectfour.standings.best import best_player
from connectfour.standings.table import read_leaderboard
from connectfour.system.sealed import seal
from tests.commands import call, call_process
from tests.runs import make_run, member_file


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run."""
    return make_run(tmp_path_factory.mktemp("runs") / "demo")


@pytest.fixture(scope="module")
def model(run: Path) -> Path:
    """The run's v0001 as a file."""
    export_onnx(encode_player(f"snapshot:{run}/v1"), run / "v1.onnx")
    return run / "v1.onnx"


@pytest.mark.parametrize("encoder", ["lines", "mlp", "resnet"])
def test_every_encoder_is_exported_and_plays_the_same(encoder: str, tmp_path: Path) -> None:
    """onnxruntime takes any batch size and gets the same grade as the snapshot."""
    run = make_run(tmp_path / "demo", encoder)
    done = export_onnx(f"snapshot:{run}/main", tmp_path / "model.onnx")
    assert 0 <= done.difference < 1e-4
    assert done.positions >= 2000
    assert done.size == (tmp_path / "model.onnx").stat().st_size
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    for batch in (1, 3):
        observation = Boards(batch).observe()
        observation.action_mask[0, 2] = 0
        logits, probabilities, value = session.run(
            None, {"observation": observation.planes, "action_mask": observation.action_mask}
        )
        assert (logits.shape, probabilities.shape, value.shape) == ((batch, 7), (batch, 7), (batch,))
        assert logits[0, 2] == np.finfo(np.float32).min
        assert probabilities[0, 2] == 0
    positions = load_positions("dev")
    grades = [
        grade(parse_player(spec, greedy=True), positions).overall
        for spec in (f"snapshot:{run}/main", f"onnx:{done.path}")
    ]
    assert grades[0] == grades[1]


@pytest.mark.parametrize("encoder", ["lines", "mlp", "resnet"])
def test_an_architecture_is_traced_once(encoder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its networks share the graph, and each file holds the weights of its own network, zeros and twins included."""
    traced: list[Architecture] = []
    convert = onnx_graph._convert

    def counting(network: GameNetwork) -> onnx.ModelProto:
        traced.append(network.settings)
        return convert(network)

    monkeypatch.setattr(onnx_graph, "_convert", counting)
    onnx_graph._trace.cache_clear()
    settings = Architecture(encoder=encoder, width=12, layers=3)
    networks = [make_network(settings).eval() for _ in range(3)]
    with torch.no_grad():
        for parameter in networks[1].parameters():
            parameter.zero_()
        for parameter in networks[2].parameters():
            parameter.fill_(0.01)
    for network in networks:
        model = onnx_graph.onnx_graph(network)
        verify(model.SerializeToString(), network)
        weights = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
        for name, parameter in network.state_dict().items():
            np.testing.assert_array_equal(weights[f"network.{name}"], parameter.numpy())
    assert traced == [settings]


def test_a_symmetric_network_is_exported_for_any_batch() -> None:
    """The graph accepts any batch size and agrees with Torch."""
    network = make_network(Architecture(encoder="mlp", width=8, symmetric=True)).eval()
    session = onnxruntime.InferenceSession(
        onnx_graph.onnx_graph(network).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    for batch in (1, 5):
        seen = random_openings(make_game(), np.full(batch, 6), np.random.default_rng(0)).observe()
        found = session.run(["logits", "value"], {"observation": seen.planes, "action_mask": seen.action_mask})
        with torch.no_grad():
            expected = network(torch.from_numpy(seen.planes), torch.from_numpy(seen.action_mask))
        np.testing.assert_allclose(found[0], expected.logits, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(found[1], expected.value, rtol=1e-4, atol=1e-5)


def test_a_graph_that_loses_weights_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another release of Torch might fold weights into other tensors; then no other network fits into the graph."""
    convert = onnx_graph._convert

    def folding(network: GameNetwork) -> onnx.ModelProto:
        model = convert(network)
        (bias,) = [tensor for tensor in model.graph.initializer if tensor.name == "network.value_head.even.bias"]
        bias.name = "folded"
        return model

    monkeypatch.setattr(onnx_graph, "_convert", folding)
    onnx_graph._trace.cache_clear()
    with pytest.raises(ExportError, match=r"folds value_head\.even\.bias of lines .* into other tensors"):
        onnx_graph.onnx_graph(make_network(Architecture(width=8)))
    onnx_graph._trace.cache_clear()


def test_the_file_names_its_origin(model: Path, run: Path) -> None:
    """One file, with metadata."""
    loaded = onnx.load(model)
    metadata = {entry.key: entry.value for entry in loaded.metadata_props}
    assert metadata["player"] == "demo/v0001"
    assert metadata["sha256"] == read_members(RunFolder(run))["v0001"].sha256
    assert metadata["opset"] == str(loaded.opset_import[0].version)
    assert metadata["version"]
    assert [file.name for file in run.glob("v1*")] == ["v1.onnx"]


def test_a_run_stands_for_its_best_network(run: Path, tmp_path: Path) -> None:
    """A program names it by its folder; the result says which network it is, and why."""
    done = export_onnx(str(run), str(tmp_path / "model.onnx"))
    assert (done.player, done.path) == ("demo/v0001", tmp_path / "model.onnx")
    assert done.reason.startswith("graded best while it trained")
    assert export_onnx(run, tmp_path / "other.onnx").player == done.player
    assert (tmp_path / "model.onnx").read_bytes() == (tmp_path / "other.onnx").read_bytes()


def test_a_checkpoint_is_exported(run: Path, tmp_path: Path) -> None:
    """Its policy is the network of the snapshot that was saved with it."""
    checkpoint = tmp_path / "checkpoint_000003"
    checkpoint.mkdir()
    shutil.copyfile(member_file(run, "main"), checkpoint / CHECKPOINT_POLICY)
    seal(checkpoint, iteration=3, env_steps=1, minutes=0.0, league_size=1)
    assert export_onnx(f"checkpoint:{checkpoint}", tmp_path / "model.onnx").player == "main@3"
    main = build_network(decode_snapshot(encode_player(f"snapshot:{run}/main").data, "main")).eval()
    verify((tmp_path / "model.onnx").read_bytes(), main)


def test_the_best_network_is_the_first_on_the_leaderboard(ranked_run: Path, tmp_path: Path) -> None:
    """Or the best graded if there is no leaderboard. Names may be longer because several runs were ranked together."""
    best = next(row.player for row in read_leaderboard(ranked_run) if row.player[0] in "vm" and row.player[1] != "i")
    encoded, why = best_player(str(ranked_run))
    assert encoded.name == best
    assert re.fullmatch(r"rank \d of .*leaderboard.csv", why)
    run = tmp_path / "demo"
    shutil.copytree(ranked_run, run, ignore=shutil.ignore_patterns("app"))
    for file, before, after in (("leaderboard.csv", ",{},", ",demo/{},"), ("matches.jsonl", '"{}"', '"demo/{}"')):
        text = (run / file).read_text()
        (run / file).write_text(text.replace(before.format(best), after.format(best)))
    assert best_player(str(run)) == (encoded, why.replace(str(ranked_run), str(run)))
    (run / "leaderboard.csv").unlink()
    encoded, why = best_player(str(run))
    assert encoded.name == "demo/v0001"
    assert "graded best" in why


def test_a_model_that_differs_is_not_written(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here it has the weights of another snapshot. The file that was there before stays."""
    other = build_network(decode_snapshot(encode_player(f"snapshot:{run}/v2").data, "other"))
    monkeypatch.setattr(onnx_file, "onnx_graph", lambda _: onnx_graph.onnx_graph(other))
    output = tmp_path / "model.onnx"
    output.write_text("before")
    with pytest.raises(
        ExportError, match=r"onnxruntime does not play as Torch does at batch size 1 .*: nothing is written"
    ):
        export_onnx(encode_player(f"snapshot:{run}/v1"), output)
    assert output.read_text() == "before"
    assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"]


def test_verification_covers_every_length_of_a_game() -> None:
    """Fifty legal positions after each number of plies, none of them over."""
    positions = onnx_file._positions(make_game())
    assert np.bincount(positions.planes.sum(axis=(1, 2, 3))).tolist() == [50] * 42
    assert positions.action_mask.any(axis=1).all()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda size, sums: 7 if size == 7 and sums.all() else 0, "does not play as Torch does at batch size 7"),
        (lambda size, sums: 7 if size == 1024 else 0, "does not play as Torch does at batch size 1024"),
        (lambda size, sums: 0 if sums.all() else float("nan"), "a position without a legal action gives NaN"),
    ],
    ids=["7", "1024", "nothing legal"],
)
def test_every_batch_size_is_verified(
    wrong: Callable[[int, np.ndarray], float], message: str, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here onnxruntime is wrong at one batch size only, or only where no column is legal."""

    class Wrong:
        """A session that is off by what ``wrong`` returns."""

        def __init__(self, data: bytes, source: str) -> None:
            self.session = open_session(data, source)

        def run(self, names: None, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
            mask = inputs["action_mask"]
            off = wrong(len(mask), np.asarray(mask.any(axis=1)))
            return [each + np.float32(off) for each in self.session.run(names, inputs)]

    monkeypatch.setattr(onnx_file, "open_session", Wrong)
    with pytest.raises(ExportError, match=message):
        export_onnx(encode_player(f"snapshot:{run}/v1"), tmp_path / "model.onnx")
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
    """In a node, with a path that exists."""
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
        (lambda data: b"no model", "is not a valid ONNX model"),
        (lambda data: data[: len(data) // 2], "is not a valid ONNX model"),
        (_damaged(_external), "keeps its weights in other files"),
        (_damaged(_external_constant), "keeps its weights in other files"),
        (_damaged(_other_outputs), "has the outputs logits, value; they must be logits, probabilities, value"),
        (
            _damaged(_other_shape),
            "has the inputs observation, action_mask; they must be observation, action_mask in the shapes",
        ),
        (
            _damaged(_fixed_batch),
            "has the inputs observation, action_mask; they must be observation, action_mask in the shapes",
        ),
    ],
    ids=["text", "half", "external", "external constant", "outputs", "shape", "batch"],
)
def test_a_model_of_something_else_is_refused(
    damage: Callable[[bytes], bytes], message: str, model: Path, tmp_path: Path
) -> None:
    """With one sentence, before onnxruntime loads it."""
    (tmp_path / "bad.onnx").write_bytes(damage(model.read_bytes()))
    with pytest.raises(PlayerError, match=message):
        parse_player(f"onnx:{tmp_path}/bad.onnx")


def test_other_models_huge_and_missing_files_are_refused(tmp_path: Path) -> None:
    """A valid model with other inputs, a file that is too large, a missing file."""
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "relu", ends[:1], ends[1:])
    onnx.save(helper.make_model(graph), tmp_path / "relu.onnx")
    with pytest.raises(PlayerError, match="has the inputs x; they must be observation, action_mask"):
        parse_player(f"onnx:{tmp_path}/relu.onnx")
    with (tmp_path / "huge.onnx").open("wb") as stream:
        stream.truncate(300 * 2**20)
    with pytest.raises(PlayerError, match="models may have at most 268,435,456"):
        parse_player(f"onnx:{tmp_path}/huge.onnx")
    with pytest.raises(PlayerError, match="is not a file: name one written by connectfour export-onnx"):
        parse_player(f"onnx:{tmp_path}/nothing.onnx")


def test_the_command_exports_a_model_that_plays(run: Path, tmp_path: Path) -> None:
    """The best network of a run, into a file that ``match`` accepts."""
    done = call("export-onnx", run, "--output", tmp_path / "best.onnx")
    assert done.returncode == 0, done.stderr
    assert "demo/v0001 (graded best while it trained" in done.stdout
    assert "opset 20; onnxruntime agrees with Torch on 2,100 positions" in done.stdout
    assert call("match", f"onnx:{tmp_path}/best.onnx", "heuristic:random", "--games", 10).returncode == 0


def test_an_export_is_refused_before_it_begins(
    run: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A target that cannot be written comes first, then the player: nothing is traced."""

    def refuse(*_: object) -> None:
        raise AssertionError("a network is traced although the export was to be refused")

    monkeypatch.setattr(onnx_file, "onnx_graph", refuse)
    target = tmp_path / "model.onnx"
    for output in (tmp_path, tmp_path / "missing" / "model.onnx"):
        with pytest.raises(ExportError, match=r"cannot be written: name a file in an existing folder that is writable"):
            export_onnx("snapshot:nowhere/v1", output)
    with pytest.raises(ExportError, match=r"linear is a heuristic, not a network: name a run folder, a snapshot or a"):
        export_onnx("heuristic:linear", target)
    with pytest.raises(
        ExportError, match=r"v1 is an ONNX model already: name a run folder, a snapshot or a checkpoint"
    ):
        export_onnx(f"onnx:{model}", target)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(ExportError, match=r"cannot be written"):
        export_onnx(run, target)


def test_the_command_refuses_with_one_sentence(tmp_path: Path) -> None:
    """And the exit code of exports."""
    refused = call_process("export-onnx", "heuristic:linear", "--output", tmp_path / "linear.onnx")
    assert (refused.returncode, refused.stderr) == (
        11,
        "connectfour: linear is a heuristic, not a network: name a run folder, a snapshot or a checkpoint\n",
    )
    assert not (tmp_path / "linear.onnx").exists()
