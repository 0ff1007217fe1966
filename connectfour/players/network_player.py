"""``NetworkPlayer``: Torch networks as players."""

from __future__ import annotations

from typing import Any

import torch
from numpy.typing import NDArray

from connectfour.errors import SnapshotError
from connectfour.games.observation import Observation
from connectfour.league.snapshots import Snapshot, decode_snapshot
from connectfour.networks.network import GameNetwork, NetworkOutput, Precision, make_network
from connectfour.players.encoded import EncodedPlayer
from connectfour.players.policy import Evaluation, PolicyPlayer

_BATCH_MULTIPLE = 32


class NetworkPlayer(PolicyPlayer):
    """Follows the policy of a Torch network."""

    def __init__(self, name: str, network: GameNetwork, *, temperature: float = 1.0) -> None:
        """Follow ``network``; see ``PolicyPlayer`` for ``temperature``."""
        super().__init__(name, temperature=temperature)
        self._network = network.eval()

    @torch.inference_mode()
    def evaluate(self, observation: Observation) -> Evaluation:
        """Evaluate N positions in one forward pass."""
        count = len(observation)
        # oneDNN compiles a bfloat16 product for each new batch size, which takes longer than the product itself.
        padding = -count % _BATCH_MULTIPLE if count > 1 else 0
        planes, mask = (_padded(each, padding) for each in (observation.planes, observation.action_mask))
        output: NetworkOutput = self._network(planes, mask)
        return Evaluation(output.logits[:count].numpy(), output.value[:count].numpy())


def _padded(array: NDArray[Any], rows: int) -> torch.Tensor:
    """Return ``array`` with ``rows`` more rows of zeros."""
    tensor = torch.from_numpy(array)
    return torch.nn.functional.pad(tensor, (*[0] * (2 * array.ndim - 1), rows)) if rows else tensor


def build_network(snapshot: Snapshot, precision: Precision = "float32") -> GameNetwork:
    """Return the network of ``snapshot`` with its weights.

    Raises:
        SnapshotError: the weights do not fit the architecture recorded in the snapshot.
    """
    network = make_network(snapshot.network, precision=precision)
    try:
        network.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in snapshot.weights.items()})
    except RuntimeError:
        raise SnapshotError(
            f"the weights do not fit the architecture {snapshot.network}: restore the snapshot from a copy of the run"
        ) from None
    return network


def build_network_player(encoded: EncodedPlayer, *, greedy: bool, fast: bool) -> NetworkPlayer:
    """Build the player of a snapshot; see ``connectfour.players.names.build_player`` for ``greedy`` and ``fast``.

    Raises:
        SnapshotError: the data is not a snapshot, or its weights do not fit its architecture.
    """
    network = build_network(decode_snapshot(encoded.data, encoded.name), "auto" if fast else "float32")
    return NetworkPlayer(encoded.name, network, temperature=0.0 if greedy else 1.0)
