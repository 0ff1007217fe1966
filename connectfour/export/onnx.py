"""``connectfour export-onnx``: a policy as one ONNX file, written only if onnxruntime plays it as Torch does."""

from __future__ import annotations

import io
import logging
import warnings
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from connectfour import __version__
from connectfour.errors import ExportError
from connectfour.files import write_atomically
from connectfour.games.connect_four.openings import random_openings
from connectfour.league.snapshots import decode_snapshot
from connectfour.networks.network import ConnectFourNetwork
from connectfour.players.network_player import build_network
from connectfour.players.onnx_model import INPUTS, OUTPUTS, check_model, open_session
from connectfour.players.packed import PackedPlayer

_TOLERANCE = 1e-4
_BATCH_SIZES = (1, 7, 1024)
_POSITIONS = 2100


@dataclass(frozen=True)
class Export:
    """What was written.

    Attributes:
        player: whose policy it is.
        path: the file.
        size: of the file, in bytes.
        opset: version of the ONNX operators.
        positions: legal positions on which onnxruntime was compared with Torch, at each batch size.
        difference: the largest difference of legal logits and values there.
    """

    player: str
    path: Path
    size: int
    opset: int
    positions: int
    difference: float


class _Policy(nn.Module):
    """A network with its outputs in the order of ``OUTPUTS``."""

    def __init__(self, network: ConnectFourNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, observation: Tensor, action_mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return masked logits, probabilities and value."""
        logits, value = self.network(observation, action_mask)
        return logits, torch.softmax(logits, dim=1), value


def export_onnx(player: PackedPlayer, output: Path) -> Export:
    """Write ``player``'s policy to ``output``; nothing is left there if it is not verified.

    Raises:
        ExportError: ``output`` is no name of a file in a folder that exists, the player is no network, or onnxruntime
            does not agree with Torch.
    """
    if output.is_dir() or not output.parent.is_dir():
        raise ExportError(f"{output} cannot be written: name a file in a folder that exists")
    if player.kind not in {"snapshot", "main"}:
        raise ExportError(f"{player.name} is no network but a {player.kind}: name a run or a snapshot")
    network = build_network(decode_snapshot(player.data, player.name)).eval()
    data, opset = _convert(_Policy(network), player)
    difference = verify(data, network)
    write_atomically(output, data)
    return Export(player.name, output, len(data), opset, _POSITIONS, difference)


def _convert(policy: _Policy, player: PackedPlayer) -> tuple[bytes, int]:
    example = (torch.zeros(2, 6, 7, 2, dtype=torch.int8), torch.ones(2, 7, dtype=torch.int8))
    batch = torch.export.Dim("batch")
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    # The exporter tells about its steps, and its own code uses what Torch deprecates.
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            policy.eval(),
            example,
            dynamo=True,
            verbose=False,
            external_data=False,
            input_names=list(INPUTS),
            output_names=list(OUTPUTS),
            dynamic_shapes=({0: batch}, {0: batch}),
        )
    if program is None:
        raise ExportError(f"Torch did not convert {player.name} to ONNX: report the network's settings")
    model = program.model_proto
    opset = next(each.version for each in model.opset_import if each.domain in {"", "ai.onnx"})
    model.producer_name, model.producer_version = "connectfour-league", __version__
    metadata = {"player": player.name, "sha256": player.data_sha256, "opset": str(opset), "version": __version__}
    for key, value in metadata.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    return model.SerializeToString(), opset


def verify(data: bytes, network: ConnectFourNetwork) -> float:
    """Return the largest difference between onnxruntime on ``data`` and Torch on ``network``.

    Raises:
        ExportError: logits or values differ by more than 1e-4, greedy columns differ where they are not tied, or a
            position without a legal column gives NaN.
    """
    check_model(data, "the exported model")
    session = open_session(data, "the exported model")
    rng = np.random.default_rng(0)
    boards = random_openings(rng.integers(42, size=_POSITIONS), rng)
    observation, mask = boards.observe()
    with torch.inference_mode():
        expected = network(torch.from_numpy(observation), torch.from_numpy(mask))
    logits, value = expected.logits.numpy(), expected.value.numpy()
    largest = 0.0
    for size in _BATCH_SIZES:
        parts = [slice(start, start + size) for start in range(0, _POSITIONS, size)]
        found = [session.run(None, {"observation": observation[part], "action_mask": mask[part]}) for part in parts]
        found_logits, probabilities, found_value = (np.concatenate(each) for each in zip(*found, strict=True))
        legal = mask != 0
        difference = max(np.abs(found_logits - logits)[legal].max(), np.abs(found_value - value).max())
        same_choice = np.array_equal(found_logits[~legal], logits[~legal]) and _same_choice(found_logits, logits)
        sums_to_one = np.abs(probabilities.sum(axis=1) - 1).max() <= _TOLERANCE
        if not (difference <= _TOLERANCE and same_choice and sums_to_one):
            raise ExportError(
                f"onnxruntime does not play as Torch does at batch size {size} (they differ by {difference:.2g}): "
                "nothing is written"
            )
        largest = max(largest, float(difference))
    nothing_legal = session.run(None, {"observation": observation[:2], "action_mask": np.zeros((2, 7), np.int8)})
    if any(np.isnan(each).any() for each in nothing_legal):
        raise ExportError("a position without a legal column gives NaN: nothing is written")
    return largest


def _same_choice(found: NDArray[np.float32], expected: NDArray[np.float32]) -> bool:
    """Tell whether the best columns are the same, but for ties."""
    rows = np.arange(len(expected))
    chosen = expected[rows, found.argmax(axis=1)]
    return bool((expected.max(axis=1) - chosen <= 2 * _TOLERANCE).all())
