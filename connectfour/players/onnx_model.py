"""ONNX models as players: ``onnx:model.onnx``. Needs onnxruntime, but neither Torch nor Ray.

A model must be a single file with the inputs and outputs that ``connectfour.export`` writes; anything else is refused.
Loading it unpickles nothing, and runs no code but that of the game that the model names, which must be installed here.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from google.protobuf.message import DecodeError, Message

from connectfour.errors import PlayerError
from connectfour.games.contract import Game
from connectfour.games.observation import Observation
from connectfour.players.encoded import EncodedPlayer
from connectfour.players.policy import Evaluation, PolicyPlayer
from connectfour.settings.game import GameSettings

MAX_BYTES = 256 * 2**20
_ELEMENTS = {
    "int8": onnx.TensorProto.INT8,
    "uint8": onnx.TensorProto.UINT8,
    "bool": onnx.TensorProto.BOOL,
    "float32": onnx.TensorProto.FLOAT,
}
_GAME_KEY = "game"

Signature = dict[str, tuple[int, tuple[int, ...]]]
"""Element type and shape by name; the shape leaves out the batch axis, which is dynamic."""


def inputs_of(game: Game) -> Signature:
    """Return the inputs of a player's model: what it sees, and where an action is legal."""
    return {
        "observation": (_ELEMENTS[np.dtype(game.observation_dtype).name], game.observation_shape),
        "action_mask": (onnx.TensorProto.INT8, (game.actions,)),
    }


def outputs_of(game: Game) -> Signature:
    """Return the outputs of a player's model."""
    return {
        "logits": (onnx.TensorProto.FLOAT, (game.actions,)),
        "probabilities": (onnx.TensorProto.FLOAT, (game.actions,)),
        "value": (onnx.TensorProto.FLOAT, ()),
    }


def game_metadata(game: GameSettings) -> dict[str, str]:
    """Return what a model's metadata say about its game."""
    return {_GAME_KEY: game.model_dump_json()}


def recorded_game(model: onnx.ModelProto, source: str) -> GameSettings:
    """Return the game that a model's metadata name; Connect Four if they name none, as in earlier releases.

    Raises:
        PlayerError: they name no game in this project's form.
    """
    written = next((each.value for each in model.metadata_props if each.key == _GAME_KEY), "{}")
    try:
        return GameSettings.model_validate_json(written)
    except ValueError:
        raise PlayerError(f"{source} names its game as {written!r}: export it with connectfour export-onnx") from None


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
    model = check_model(data, str(path))
    return EncodedPlayer(path.stem, "onnx", data, game=recorded_game(model, str(path)))


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
    settings = recorded_game(model, source)
    game = settings.rules
    signatures = ("inputs", inputs_of(game), model.graph.input), ("outputs", outputs_of(game), model.graph.output)
    for kind, expected, found in signatures:
        described = {each.name: _describe(each) for each in found}
        if described != expected:
            raise PlayerError(
                f"{source} has the {kind} {', '.join(described) or 'none'}; they must be {', '.join(expected)} in the "
                f"shapes of a player of {settings}: export it with connectfour export-onnx"
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

    def __init__(
        self, name: str, session: onnxruntime.InferenceSession, game: Game, *, temperature: float = 1.0
    ) -> None:
        """Play ``game`` with the model of ``session``; ``temperature`` as in ``PolicyPlayer``."""
        super().__init__(name, temperature=temperature)
        self._dtype = game.observation_dtype
        self._session = session

    def evaluate(self, observation: Observation) -> Evaluation:
        """Evaluate N boards in one forward pass."""
        inputs = {
            "observation": observation.planes.astype(self._dtype, copy=False),
            "action_mask": observation.action_mask.astype(np.int8, copy=False),
        }
        return Evaluation(*self._session.run(["logits", "value"], inputs))


def build_onnx_player(encoded: EncodedPlayer, *, greedy: bool = False) -> OnnxPlayer:
    """Build the player of a model.

    Raises:
        PlayerError: it is not the model of a player.
    """
    game = recorded_game(check_model(encoded.data, encoded.name), encoded.name).rules
    return OnnxPlayer(encoded.name, open_session(encoded.data, encoded.name), game, temperature=0.0 if greedy else 1.0)
