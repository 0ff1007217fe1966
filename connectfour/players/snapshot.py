"""A network frozen by a league, as a player."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from connectfour.errors import SnapshotError
from connectfour.game.bitboard import Columns
from connectfour.league.snapshots import Snapshot, decode_snapshot
from connectfour.networks import ConnectFourNetwork, NetworkOutput, Precision
from connectfour.players.player import PackedPlayer
from connectfour.players.policy import choose_columns
from heuristics import State

_BATCH_MULTIPLE = 32


class NetworkPlayer:
    """Plays a network's policy: one forward pass a move, no search."""

    def __init__(self, name: str, network: ConnectFourNetwork, *, greedy: bool = False) -> None:
        """Sample columns from the policy, or with ``greedy`` play the most probable one."""
        self.name = name
        self._network = network.eval()
        self._greedy = greedy

    def initial_state(self, boards: int) -> State:
        """Return no memory: the board says it all."""
        return np.zeros((boards, 0), dtype=np.int64)

    @torch.inference_mode()
    def act(
        self,
        observation: NDArray[np.integer],
        action_mask: NDArray[np.integer],
        state: State,
        rng: np.random.Generator,
    ) -> tuple[Columns, State]:
        """Evaluate all boards in one forward pass; the column is -1 where logits are not a number."""
        uniform = rng.random(len(observation))
        logits = self._logits(observation, action_mask).numpy()
        return choose_columns(logits, uniform, greedy=self._greedy), state

    def _logits(self, observation: NDArray[np.integer], action_mask: NDArray[np.integer]) -> torch.Tensor:
        # oneDNN compiles a bfloat16 product for each new batch size, which takes longer than the product itself.
        missing = -len(observation) % _BATCH_MULTIPLE if len(observation) > 1 else 0
        boards = torch.nn.functional.pad(torch.from_numpy(observation), (0, 0, 0, 0, 0, 0, 0, missing))
        masks = torch.nn.functional.pad(torch.from_numpy(action_mask), (0, 0, 0, missing))
        output: NetworkOutput = self._network(boards, masks)
        return output.logits[: len(observation)]


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
    return NetworkPlayer(packed.name, network, greedy=greedy)
