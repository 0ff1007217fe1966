"""An ONNX model as a player: ``onnx:model.onnx``. Needs onnxruntime, and neither Torch nor Ray.

A model is refused unless it is one file with the inputs and outputs that ``connectfour.export`` writes. Loading it runs
no code from the file and unpickles nothing.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from google.protobuf.message import DecodeError, Message
from numpy.typing import NDArray

from connectfour.errors import PlayerError
from connectfour.games.connect_four.bitboard import COLUMNS, ROWS
from connectfour.players.player import PackedPlayer
from connectfour.players.policy import Evaluation, PolicyPlayer

MOST_BYTES = 256 * 2**20
INPUTS = {
    "observation": (onnx.TensorProto.INT8, (ROWS, COLUMNS, 2)),
    "action_mask": (onnx.TensorProto.INT8, (COLUMNS,)),
}
OUTPUTS = {
    "logits": (onnx.TensorProto.FLOAT, (COLUMNS,)),
    "probabilities": (onnx.TensorProto.FLOAT, (COLUMNS,)),
    "value": (onnx.TensorProto.FLOAT, ()),
}
"""Names with element type and shape after the batch axis, which is dynamic."""


def pack_onnx(location: str) -> PackedPlayer:
    """Read a model's file.

    Raises:
        PlayerError: there is no such file, or it is no model of a player.
    """
    path = Path(location)
    if not path.is_file():
        raise PlayerError(f"{path} is no file: write onnx:FILE, as connectfour export-onnx has written it")
    if path.stat().st_size > MOST_BYTES:
        raise PlayerError(
            f"{path} has {path.stat().st_size:,} bytes, more than the {MOST_BYTES:,} of any model of ours"
        )
    data = path.read_bytes()
    check_model(data, str(path))
    return PackedPlayer(path.stem, "onnx", data)


def check_model(data: bytes, source: str) -> onnx.ModelProto:
    """Return the model in ``data``; ``source`` names it in errors.

    Raises:
        PlayerError: it is none, keeps data in other files, or has other inputs or outputs.
    """
    try:
        model = onnx.load_model_from_string(data)
        if _names_other_files(model):
            raise PlayerError(f"{source} keeps its weights in other files: save it as one file, without external data")
        onnx.checker.check_model(model)
    except (DecodeError, onnx.checker.ValidationError, ValueError):
        raise PlayerError(f"{source} is no valid ONNX model: export it again") from None
    for kind, expected, found in (("inputs", INPUTS, model.graph.input), ("outputs", OUTPUTS, model.graph.output)):
        described = {each.name: _describe(each) for each in found}
        if described != expected:
            raise PlayerError(
                f"{source} has the {kind} {', '.join(described) or 'none'} where a player has "
                f"{', '.join(expected)} in its shapes: export it with connectfour export-onnx"
            )
    return model


def _names_other_files(message: Message) -> bool:
    """Tell whether a tensor anywhere in ``message``, in nodes and functions too, has its data in another file."""
    if isinstance(message, onnx.TensorProto):
        return message.data_location == onnx.TensorProto.EXTERNAL or bool(message.external_data)
    parts = (found for field, found in message.ListFields() if field.message_type)
    return any(_names_other_files(each) for part in parts for each in ([part] if isinstance(part, Message) else part))


def _describe(value: onnx.ValueInfoProto) -> tuple[int, tuple[int, ...]] | None:
    """Return element type and shape after a dynamic batch axis, or None."""
    tensor = value.type.tensor_type
    sizes = tensor.shape.dim
    if not sizes or not sizes[0].dim_param or any(size.dim_param for size in sizes[1:]):
        return None
    return tensor.elem_type, tuple(size.dim_value for size in sizes[1:])


def open_session(data: bytes, source: str) -> onnxruntime.InferenceSession:
    """Return an onnxruntime session on one core.

    Raises:
        PlayerError: onnxruntime does not take the model.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001  # onnxruntime's errors have no other common base
        raise PlayerError(f"{source} cannot be run by onnxruntime ({type(error).__name__}): export it again") from None


class OnnxPlayer(PolicyPlayer):
    """Plays the policy of an ONNX model."""

    def __init__(self, name: str, session: onnxruntime.InferenceSession, *, temperature: float = 1.0) -> None:
        """Play the model of ``session``; ``temperature`` as in ``PolicyPlayer``."""
        super().__init__(name, temperature=temperature)
        self._session = session

    def evaluate(self, observation: NDArray[np.integer], action_mask: NDArray[np.integer]) -> Evaluation:
        """Evaluate all boards in one forward pass."""
        inputs = {"observation": observation.astype(np.int8), "action_mask": action_mask.astype(np.int8)}
        return Evaluation(*self._session.run(["logits", "value"], inputs))


def unpack_onnx(packed: PackedPlayer, *, greedy: bool = False) -> OnnxPlayer:
    """Build the player of a model.

    Raises:
        PlayerError: it is no model of a player.
    """
    check_model(packed.data, packed.name)
    return OnnxPlayer(packed.name, open_session(packed.data, packed.name), temperature=0.0 if greedy else 1.0)
