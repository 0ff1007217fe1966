"""Networks as ONNX graphs. Each architecture is traced once; its networks share the graph and differ in their weights.

Tracing takes Torch seconds, and the networks of a league have the same architecture. So the first network of an
architecture pays for the trace, and every network puts its own weights into a copy of that graph.
"""

from __future__ import annotations

import io
import logging
import warnings
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from threading import Lock

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from connectfour.errors import ExportError
from connectfour.networks.network import GameNetwork, make_network
from connectfour.players.onnx_model import inputs_of, outputs_of
from connectfour.settings.network import Architecture

_EXPORTER_LOCK = Lock()
"""Torch's exporter runs in one thread at a time."""

_PREFIX = "network."
"""What the exporter puts before the name of a parameter: the attribute of ``_Policy`` that holds the network."""


class _Policy(nn.Module):
    """A network with its outputs in the order of ``outputs_of``."""

    def __init__(self, network: GameNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, observation: Tensor, action_mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return masked logits, probabilities and value."""
        logits, value = self.network(observation, action_mask)
        return logits, torch.softmax(logits, dim=1), value


def onnx_graph(network: GameNetwork) -> onnx.ModelProto:
    """Return ``network`` as an ONNX model with the inputs and outputs of a player.

    Raises:
        ExportError: Torch cannot convert this architecture, or folds its weights into other tensors.
    """
    if network.settings.has_own_encoder:  # whose weights the exporter may fold
        with _EXPORTER_LOCK:
            return _convert(network)
    weights = _initializers(network)
    model = onnx.ModelProto()
    with _EXPORTER_LOCK:
        model.CopyFrom(_trace(network.settings))
    for tensor in model.graph.initializer:
        if tensor.name in weights:
            tensor.CopyFrom(numpy_helper.from_array(weights[tensor.name], tensor.name))
    return model


@cache
def _trace(settings: Architecture) -> onnx.ModelProto:
    """Return the graph of an architecture with random weights.

    Random, because the exporter drops biases that are zero and merges tensors that are equal; another network would
    then have no place for its weights.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = make_network(settings).eval()
        for parameter in network.parameters():
            nn.init.normal_(parameter)
    model = _convert(network)
    traced = {tensor.name: tensor for tensor in model.graph.initializer}
    for name, array in _initializers(network).items():
        if name not in traced or not np.array_equal(numpy_helper.to_array(traced[name]), array):
            raise ExportError(
                f"Torch {torch.__version__} folds {name.removeprefix(_PREFIX)} of {settings} into other tensors: "
                "use the version of Torch in poetry.lock"
            )
    return model


def _initializers(network: GameNetwork) -> dict[str, np.ndarray]:
    """Return the weights of ``network`` by the names of their tensors in the graph."""
    return {f"{_PREFIX}{name}": tensor.numpy() for name, tensor in network.state_dict().items()}


def _convert(network: GameNetwork) -> onnx.ModelProto:
    """Let Torch trace ``network`` with a dynamic batch size."""
    game = network.settings.game.rules
    planes = torch.from_numpy(np.zeros((2, *game.observation_shape), game.observation_dtype))
    example = (planes, torch.ones(2, game.actions, dtype=torch.int8))
    batch = torch.export.Dim("batch")
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    # The exporter prints its progress and warns about its own code.
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            _Policy(network),
            example,
            dynamo=True,
            verbose=False,
            external_data=False,
            input_names=list(inputs_of(game)),
            output_names=list(outputs_of(game)),
            dynamic_shapes=({0: batch}, {0: batch}),
        )
    if program is None:
        raise ExportError(f"Torch {torch.__version__} cannot convert {network.settings} to ONNX")
    model: onnx.ModelProto = program.model_proto
    return model
