"""ONNX models as players: ``onnx:model.onnx``. Needs onnxruntime, but neither Torch nor Ray.

A model must be a single file with the inputs and outputs that ``connectfour.export`` writes; anything else is refused.
Loading it runs no code from the file and unpickles nothing.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from google.protobuf.message import DecodeError, Message

from connectfour.errors import PlayerError
from connectfour.games.connect_four.bitboard import COLUMNS, ROWS
from connectfour.games.observation import Observation
from connectfour.players.encoded import EncodedPlayer
from connectfour.players.policy import Evaluation, PolicyPlayer

MAX_BYTES = 256 * 2**20
INPUTS = {
    "observation": (onnx.TensorProto.INT8, (ROWS, COLUMNS, 2)),
    "action_mask": (onnx.TensorProto.INT8, (COLUMNS,)),
}
OUTPUTS = {
    "logits": (onnx.TensorProto.FLOAT, (COLUMNS,)),
    "probabilities": (onnx.TensorProto.FLOAT, (COLUMNS,)),
    "value": (onnx.TensorProto.FLOAT, ()),
}
"""Element type and shape by name; the shape leaves out the batch axis, which is dynamic."""


def encode_onnx(location: str) -> EncodedPlayer:
    """Read a model's file.

    Raises:
        PlayerError: the file does not exist, or does not hold the model of a player.
    """
    path = Path(location)
    if not path.is_file():
        raise PlayerError(f"{path} is not a file: name one written by connectfour export-onnx, as in onnx:model.onnx")
    if path.stat().st_size > MAX_BYTES:
        raise PlayerError(f"{path} has {path.stat().st_size:,} bytes; models may have at most {MAX_BYTES:,}")
    data = path.read_bytes()
    check_model(data, str(path))
    return EncodedPlayer(path.stem, "onnx", data)


def check_model(data: bytes, source: str) -> onnx.ModelProto:
    """Return the model in ``data``; ``source`` names it in errors.

    Raises:
        PlayerError: it is not a valid model, keeps data in other files, or has other inputs or outputs.
    """
    try:
        model = onnx.load_model_from_string(data)
        if _names_other_files(model):
            raise PlayerError(f"{source} keeps its weights in other files: save it as one file, without external data")
        onnx.checker.check_model(model)
    except (DecodeError, onnx.checker.ValidationError, ValueError):
        raise PlayerError(f"{source} is not a valid ONNX model: export it again") from None
    for kind, expected, found in (("inputs", INPUTS, model.graph.input), ("outputs", OUTPUTS, model.graph.output)):
        described = {each.name: _describe(each) for each in found}
        if described != expected:
            raise PlayerError(
                f"{source} has the {kind} {', '.join(described) or 'none'}; they must be {', '.join(expected)} in the "
                "shapes of a player: export it with connectfour export-onnx"
            )
    return model


def _names_other_files(message: Message) -> bool:
    """Return whether a tensor anywhere in ``message``, nodes and functions included, keeps its data in another file."""
    if isinstance(message, onnx.TensorProto):
        return message.data_location == onnx.TensorProto.EXTERNAL or bool(message.external_data)
    parts = (found for field, found in message.ListFields() if field.message_type)
    return any(_names_other_files(each) for part in parts for each in ([part] if isinstance(part, Message) else part))


def _describe(value: onnx.ValueInfoProto) -> tuple[int, tuple[int, ...]] | None:
    """Return element type and shape without the batch axis; None unless the first axis alone is dynamic."""
    tensor = value.type.tensor_type
    sizes = tensor.shape.dim
    if not sizes or not sizes[0].dim_param or any(size.dim_param for size in sizes[1:]):
        return None
    return tensor.elem_type, tuple(size.dim_value for size in sizes[1:])


def open_session(data: bytes, source: str) -> onnxruntime.InferenceSession:
    """Return an onnxruntime session that uses one core.

    Raises:
        PlayerError: onnxruntime rejects the model.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001  # onnxruntime's errors have no other common base
        raise PlayerError(f"{source} cannot be run by onnxruntime ({type(error).__name__}): export it again") from None


class OnnxPlayer(PolicyPlayer):
    """Follows the policy of an ONNX model."""

    def __init__(self, name: str, session: onnxruntime.InferenceSession, *, temperature: float = 1.0) -> None:
        """Play the model of ``session``; ``temperature`` as in ``PolicyPlayer``."""
        super().__init__(name, temperature=temperature)
        self._session = session

    def evaluate(self, observation: Observation) -> Evaluation:
        """Evaluate N boards in one forward pass."""
        inputs = {
            "observation": observation.planes.astype(np.int8),
            "action_mask": observation.action_mask.astype(np.int8),
        }
        return Evaluation(*self._session.run(["logits", "value"], inputs))


def build_onnx_player(encoded: EncodedPlayer, *, greedy: bool = False) -> OnnxPlayer:
    """Build the player of a model.

    Raises:
        PlayerError: it is not the model of a player.
    """
    check_model(encoded.data, encoded.name)
    return OnnxPlayer(encoded.name, open_session(encoded.data, encoded.name), temperature=0.0 if greedy else 1.0)
