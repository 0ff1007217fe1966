"""A policy as one ONNX file, written only if onnxruntime plays it as Torch does."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from connectfour.errors import ExportError
from connectfour.export.onnx_graph import onnx_graph
from connectfour.games.contract import Game
from connectfour.games.moves import pick_legal
from connectfour.games.observation import Observation
from connectfour.league.snapshots import decode_snapshot
from connectfour.networks.network import GameNetwork
from connectfour.players.encoded import EncodedPlayer
from connectfour.players.network_player import build_network
from connectfour.players.onnx_model import check_model, game_metadata, open_session
from connectfour.standings.best import best_player
from connectfour.system.files import write_atomically
from connectfour.version import __version__

_TOLERANCE = 1e-4
_BATCH_SIZES = (1, 7, 1024)
_POSITIONS_PER_PLY = 50
_RANDOM_GAMES = 30_000
"""In Connect Four, one in 270 random games lasts until the board has a single empty cell."""

_FEWER_GAMES = 200
"""Where the game is not played on arrays."""


@dataclass(frozen=True)
class Export:
    """A written ONNX file.

    Attributes:
        player: name of the player whose policy it is.
        reason: why this player was chosen.
        path: the file.
        size: of the file, in bytes.
        opset: version of the ONNX operators.
        positions: number of legal positions on which onnxruntime was compared with Torch, at each batch size.
        difference: largest difference of legal logits and values on these positions.
    """

    player: str
    reason: str
    path: Path
    size: int
    opset: int
    positions: int
    difference: float


def export_onnx(player: str | Path | EncodedPlayer, output: str | Path = "model.onnx") -> Export:
    """Export a policy as one ONNX file, and verify that onnxruntime plays it as Torch does.

    The inputs are ``observation`` (batch, *observation_shape) in the game's dtype and ``action_mask`` (batch, actions)
    int8: in Connect Four (batch, 6, 7, 2) int8 and (batch, 7) int8, as PettingZoo gives them. The outputs are
    ``logits`` (batch, actions) float32 with illegal actions at the float32 minimum, ``probabilities`` (batch, actions)
    float32 and ``value`` (batch,) float32 in [-1, 1]. The metadata hold the game, the name of the player, the SHA-256
    of its snapshot, the opset and the version of this package.

    Args:
        player: a run folder, which stands for its best network; or a player by name, such as ``snapshot:RUN/v3`` or
            ``checkpoint:PATH``.
        output: the file to write. An existing file is replaced once the export is verified, and kept otherwise.

    Raises:
        ExportError: ``output`` cannot be written, the player is not a network of this project, or onnxruntime does not
            agree with Torch.
        PlayerError, RunFolderError, SnapshotError, RankingError: ``player`` does not exist, or its files are damaged.
    """
    output = Path(output)
    if output.is_dir() or not output.parent.is_dir() or not os.access(output.parent, os.W_OK):
        raise ExportError(f"{output} cannot be written: name a file in an existing folder that is writable")
    encoded, reason = (player, "as given") if isinstance(player, EncodedPlayer) else best_player(str(player))
    if encoded.kind not in {"snapshot", "main"}:
        kind = "an ONNX model already" if encoded.kind == "onnx" else f"a {encoded.kind}, not a network"
        raise ExportError(f"{encoded.name} is {kind}: name a run folder, a snapshot or a checkpoint")
    network = build_network(decode_snapshot(encoded.data, encoded.name)).eval()
    model = onnx_graph(network)
    opset = next(each.version for each in model.opset_import if each.domain in {"", "ai.onnx"})
    model.producer_name, model.producer_version = "connectfour-league", __version__
    metadata = {"player": encoded.name, "sha256": encoded.data_sha256, "opset": str(opset), "version": __version__}
    metadata |= game_metadata(network.settings.game)
    onnx.helper.set_model_props(model, metadata)
    data = model.SerializeToString()
    difference = verify(data, network)
    write_atomically(output, data)
    return Export(
        encoded.name, reason, output, len(data), opset, len(_positions(network.settings.game.rules)), difference
    )


@cache
def _positions(game: Game) -> Observation:
    """Return 50 positions of each length, drawn from random games that are not over."""
    rng = np.random.default_rng(0)
    games = game.boards(_RANDOM_GAMES if game.searchable else _FEWER_GAMES)
    planes, masks = [], []
    while len(games):
        sample = games[rng.permutation(len(games))[:_POSITIONS_PER_PLY]].observe()
        planes.append(sample.planes)
        masks.append(sample.action_mask)
        games.play(pick_legal(games.legal(), rng.random(len(games))))
        games = games[~games.over]
    return Observation(np.concatenate(planes), np.concatenate(masks))


def verify(data: bytes, network: GameNetwork) -> float:
    """Return the largest difference between onnxruntime on ``data`` and Torch on ``network``.

    Raises:
        ExportError: logits or values differ by more than 1e-4, greedy actions differ where they are not tied, or a
            position without a legal action gives NaN.
    """
    check_model(data, "the exported model")
    session = open_session(data, "the exported model")
    positions = _positions(network.settings.game.rules)
    planes, mask = positions.planes, positions.action_mask
    with torch.inference_mode():
        expected = network(torch.from_numpy(planes), torch.from_numpy(mask))
    logits, value = expected.logits.numpy(), expected.value.numpy()
    legal = mask != 0
    largest = 0.0
    for size in _BATCH_SIZES:
        batches = [slice(start, start + size) for start in range(0, len(positions), size)]
        found = [session.run(None, {"observation": planes[rows], "action_mask": mask[rows]}) for rows in batches]
        found_logits, probabilities, found_value = (np.concatenate(each) for each in zip(*found, strict=True))
        difference = max(np.abs(found_logits - logits)[legal].max(), np.abs(found_value - value).max())
        same_choice = np.array_equal(found_logits[~legal], logits[~legal]) and _same_choice(found_logits, logits)
        sums_to_one = np.abs(probabilities.sum(axis=1) - 1).max() <= _TOLERANCE
        if not (difference <= _TOLERANCE and same_choice and sums_to_one):
            raise ExportError(
                f"onnxruntime does not play as Torch does at batch size {size} (they differ by {difference:.2g}): "
                "nothing is written"
            )
        largest = max(largest, float(difference))
    nothing_legal = session.run(None, {"observation": planes[:2], "action_mask": np.zeros_like(mask[:2])})
    if any(np.isnan(each).any() for each in nothing_legal):
        raise ExportError("a position without a legal action gives NaN: nothing is written")
    return largest


def _same_choice(found: NDArray[np.float32], expected: NDArray[np.float32]) -> bool:
    """Return whether both have the same best actions, ties aside."""
    rows = np.arange(len(expected))
    chosen = expected[rows, found.argmax(axis=1)]
    return bool((expected.max(axis=1) - chosen <= 2 * _TOLERANCE).all())
