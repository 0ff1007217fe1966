"""The one contract of all players, and players by name: ``heuristic:linear``, ``snapshot:runs/NAME/v0003``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from connectfour.errors import PlayerError
from connectfour.game.bitboard import Columns
from heuristics import State, make_heuristic


class Player(Protocol):
    """Chooses a column on each of N boards; ``heuristics.Heuristic`` is the model of it.

    A player keeps nothing of a game between calls: its memory is ``state``, one row a board. Each call draws exactly
    one uniform number a board from ``rng``, so a batch gives the same columns as its boards one by one.
    """

    @property
    def name(self) -> str:
        """What the player is called in tables."""
        ...

    def initial_state(self, boards: int) -> State:
        """Return the memory at the start of ``boards`` games, (boards, k) int64."""
        ...

    def act(
        self,
        observation: NDArray[np.integer],
        action_mask: NDArray[np.integer],
        state: State,
        rng: np.random.Generator,
    ) -> tuple[Columns, State]:
        """Choose columns (N,) for observations (N, 6, 7, 2) and action masks (N, 7), and return the new state."""
        ...


def parse_player(spec: str, *, greedy: bool = False) -> Player:
    """Build the player that ``spec`` names; ``greedy`` makes a network play its most probable column.

    Raises:
        PlayerError: there is no such kind of player, or no such heuristic.
        RunFolderError: the run of a snapshot does not exist.
        SnapshotError: the run has no such snapshot, or its file is damaged.
    """
    kind, colon, rest = spec.partition(":")
    if not colon or kind not in _KINDS or not rest:
        raise PlayerError(
            f"{spec!r} is no player: write heuristic:NAME or snapshot:RUN/vN, for example heuristic:linear"
        )
    return _KINDS[kind](rest, greedy)


def _heuristic(name: str, greedy: bool) -> Player:
    try:
        return make_heuristic(name)
    except ValueError as error:
        raise PlayerError(str(error)) from None


def _snapshot(location: str, greedy: bool) -> Player:
    from connectfour.players.snapshot import load_snapshot_player  # Torch only for those who need it

    return load_snapshot_player(location, greedy=greedy)


_KINDS: dict[str, Callable[[str, bool], Player]] = {"heuristic": _heuristic, "snapshot": _snapshot}
