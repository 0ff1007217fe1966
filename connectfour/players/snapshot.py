"""A network frozen by a league, as a player."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from connectfour.errors import SnapshotError
from connectfour.league.snapshots import Snapshot, decode_snapshot
from connectfour.networks.network import ConnectFourNetwork, NetworkOutput, Precision
from connectfour.players.player import PackedPlayer
from connectfour.players.policy import Evaluation, PolicyPlayer

_BATCH_MULTIPLE = 32


class NetworkPlayer(PolicyPlayer):
    """Plays the policy of a Torch network."""

    def __init__(self, name: str, network: ConnectFourNetwork, *, temperature: float = 1.0) -> None:
        """Play ``network``; ``temperature`` as in ``PolicyPlayer``."""
        super().__init__(name, temperature=temperature)
        self._network = network.eval()

    @torch.inference_mode()
    def evaluate(self, observation: NDArray[np.integer], action_mask: NDArray[np.integer]) -> Evaluation:
        """Evaluate all boards in one forward pass."""
        # oneDNN compiles a bfloat16 product for each new batch size, which takes longer than the product itself.
        missing = -len(observation) % _BATCH_MULTIPLE if len(observation) > 1 else 0
        boards = torch.nn.functional.pad(torch.from_numpy(observation), (0, 0, 0, 0, 0, 0, 0, missing))
        masks = torch.nn.functional.pad(torch.from_numpy(action_mask), (0, 0, 0, missing))
        output: NetworkOutput = self._network(boards, masks)
        count = len(observation)
        return Evaluation(output.logits[:count].numpy(), output.value[:count].numpy())


def build_network(snapshot: Snapshot, precision: Precision = "float32") -> ConnectFourNetwork:
    """Return the network of a snapshot with its weights, to compute in ``precision``.

    Raises:
        SnapshotError: the weights do not fit the network that the snapshot names.
    """
    network = ConnectFourNetwork(snapshot.network, precision=precision)
    try:
        network.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in snapshot.weights.items()})
    except RuntimeError:
        raise SnapshotError(
            f"the weights do not fit a network of {snapshot.network!r}: restore the snapshot from a copy of the run"
        ) from None
    return network


def unpack_snapshot(packed: PackedPlayer, *, greedy: bool, fast: bool) -> NetworkPlayer:
    """Build the player of a snapshot's file; ``greedy`` and ``fast`` are those of ``PackedPlayer.unpack``.

    Raises:
        SnapshotError: it holds no snapshot, or its weights do not fit their network.
    """
    network = build_network(decode_snapshot(packed.data, packed.name), "auto" if fast else "float32")
    return NetworkPlayer(packed.name, network, temperature=0.0 if greedy else 1.0)
