"""A network frozen by a league, as a player."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from connectfour.errors import RunFolderError, SnapshotError
from connectfour.game.bitboard import Columns
from connectfour.league.snapshots import Snapshot, SnapshotStore
from connectfour.networks import ConnectFourNetwork
from heuristics import State


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
        """Evaluate all boards in one forward pass."""
        uniform = rng.random(len(observation))
        logits = self._network(torch.from_numpy(observation), torch.from_numpy(action_mask)).logits
        if self._greedy:
            return logits.argmax(dim=1).numpy(), state
        cumulative = torch.softmax(logits.double(), dim=1).cumsum(dim=1).numpy()
        # The last entry is 1 only up to rounding: scale, so that no draw falls behind the last legal column.
        return np.argmax(cumulative > uniform[:, None] * cumulative[:, -1:], axis=1), state


def build_network(snapshot: Snapshot) -> ConnectFourNetwork:
    """Return the network of a snapshot with its weights.

    Raises:
        SnapshotError: the weights do not fit the network that the snapshot names.
    """
    network = ConnectFourNetwork(snapshot.network)
    try:
        network.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in snapshot.weights.items()})
    except RuntimeError:
        raise SnapshotError(
            f"the weights do not fit a network of {snapshot.network!r}: restore the snapshot from a copy of the run"
        ) from None
    return network


def load_snapshot_player(location: str, *, greedy: bool = False) -> NetworkPlayer:
    """Load ``RUN/v3``, ``RUN/v0003``, ``RUN/main`` or ``RUN/best``, RUN being a run folder.

    ``main`` is the policy of the newest checkpoint; ``best`` is whichever of them all was graded best on the dev half
    of the solved positions, the newest of equals.

    Raises:
        RunFolderError: RUN is no run folder.
        SnapshotError: the run has no such snapshot, or its file is damaged.
    """
    run, _, name = location.rstrip("/").rpartition("/")
    folder = Path(run or ".")
    store = SnapshotStore(folder / "league")
    members = store.members()
    if not members:
        raise RunFolderError(
            f"{folder} is no run folder (it has no league/manifest.json): name one, as in runs/NAME/v1"
        )
    version = re.fullmatch(r"v(\d+)", name)
    member_id = f"v{int(version[1]):04d}" if version else name
    frozen = [member.id for member in members.values() if member.file]
    if name == "best" and frozen:
        member_id = max(frozen, key=lambda each: (members[each].graded or 0.0, members[each].iteration))
    if member_id not in frozen:
        known = ", ".join([*frozen, "best"]) if frozen else "nothing yet"
        raise SnapshotError(f"{folder} has no snapshot {name!r}: it has {known}")
    return NetworkPlayer(f"{folder.name}/{member_id}", build_network(store.load(members[member_id])), greedy=greedy)
