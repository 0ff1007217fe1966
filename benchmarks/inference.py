"""Compares the speed of an exported policy on onnxruntime and on eager Torch, on one core: ``make bench``.

``python -m benchmarks.inference`` prints boards per second for a network of the default size, and their ratio, and
writes ``benchmarks/inference.json``.
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

from benchmarks.ranking import seconds_per_unit
from connectfour.export.onnx_file import export_onnx
from connectfour.games.observation import Observation
from connectfour.games.openings import random_openings
from connectfour.games.registry import make_game
from connectfour.league.snapshots import Snapshot, encode_snapshot
from connectfour.networks.network import make_network
from connectfour.players.encoded import EncodedPlayer
from connectfour.players.network_player import build_network_player
from connectfour.players.onnx_model import build_onnx_player, encode_onnx
from connectfour.players.policy import PolicyPlayer
from connectfour.settings.network import Architecture

RESULTS = Path(__file__).parent / "inference.json"
_BATCHES = (1, 64, 1024)


def rivals(folder: Path) -> tuple[PolicyPlayer, PolicyPlayer]:
    """Return the same network on onnxruntime and on Torch, both in float32."""
    torch.manual_seed(0)
    settings = Architecture()
    weights = {name: tensor.numpy() for name, tensor in make_network(settings).state_dict().items()}
    encoded = encode_snapshot(Snapshot(settings, weights), iteration=1, env_steps=1)
    packed = EncodedPlayer("main", "main", encoded.data)
    export_onnx(packed, folder / "model.onnx")
    exported = build_onnx_player(encode_onnx(str(folder / "model.onnx")))
    return exported, build_network_player(packed, greedy=False, fast=False)


def main() -> None:
    """Measure and print."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    table = Table("boards at once", "onnxruntime, boards/s", "Torch, boards/s", "ratio", title="inference")
    results = []
    with TemporaryDirectory() as folder:
        players = rivals(Path(folder))
        for batch in _BATCHES:
            observation = random_openings(make_game(), rng.integers(36, size=batch), rng).observe()

            def evaluate(player: PolicyPlayer, observation: Observation = observation) -> Callable[[], int]:
                return lambda: len(player.evaluate(observation).value)

            ours, theirs = seconds_per_unit(*map(evaluate, players))
            table.add_row(f"{batch:,}", f"{1 / ours:,.0f}", f"{1 / theirs:,.0f}", f"{theirs / ours:.2f}")
            speeds = {"onnxruntime": round(1 / ours), "torch": round(1 / theirs), "ratio": round(theirs / ours, 2)}
            results.append({"boards at once": batch, **speeds})
    Console().print(table)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
