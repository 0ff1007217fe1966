"""How fast an exported policy is evaluated: onnxruntime against Torch eager, on one core, in turns: ``make bench``.

``python -m benchmarks.inference`` prints boards a second of a network of the default size, and their ratio, and writes
``benchmarks/inference.json``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from benchmarks.ranking import seconds_a_unit
from connectfour.config import NetworkSettings
from connectfour.export.onnx import export_onnx
from connectfour.games.connect_four.openings import random_openings
from connectfour.league.snapshots import Snapshot, SnapshotStore
from connectfour.networks.network import ConnectFourNetwork
from connectfour.players.names import pack_member
from connectfour.players.network_player import unpack_snapshot
from connectfour.players.onnx_model import pack_onnx, unpack_onnx
from connectfour.players.policy import PolicyPlayer

RESULTS = Path(__file__).parent / "inference.json"
_BATCHES = (1, 64, 1024)


def rivals(folder: Path) -> tuple[PolicyPlayer, PolicyPlayer]:
    """Return the same network as onnxruntime and as Torch evaluate it, both in float32."""
    torch.manual_seed(0)
    settings = NetworkSettings()
    weights = {name: tensor.numpy() for name, tensor in ConnectFourNetwork(settings).state_dict().items()}
    member = SnapshotStore(folder / "league").save(
        "main", "main", Snapshot(settings, weights), iteration=1, env_steps=1
    )
    packed = pack_member(folder, member, "main")
    export_onnx(packed, folder / "model.onnx")
    exported = unpack_onnx(pack_onnx(str(folder / "model.onnx")))
    return exported, unpack_snapshot(packed, greedy=False, fast=False)


def main() -> None:
    """Measure and print."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    table = Table("boards at once", "onnxruntime, boards/s", "Torch, boards/s", "ratio", title="inference")
    found = []
    with TemporaryDirectory() as folder:
        players = rivals(Path(folder))
        for batch in _BATCHES:
            inputs = random_openings(rng.integers(36, size=batch), rng).observe()

            def evaluate(player: PolicyPlayer, inputs: tuple[np.ndarray, np.ndarray] = inputs) -> Callable[[], int]:
                return lambda: len(player.evaluate(*inputs).value)

            ours, theirs = seconds_a_unit(*map(evaluate, players))
            table.add_row(f"{batch:,}", f"{1 / ours:,.0f}", f"{1 / theirs:,.0f}", f"{theirs / ours:.2f}")
            speeds = {"onnxruntime": round(1 / ours), "torch": round(1 / theirs), "ratio": round(theirs / ours, 2)}
            found.append({"boards at once": batch, **speeds})
    Console().print(table)
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
