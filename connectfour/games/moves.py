"""Playing lists of actions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from connectfour.games.contract import Boards, Game, Mask

_MOST_IN_A_BYTE = 127


def play_moves(game: Game, moves: Sequence[Sequence[int]] | NDArray[np.integer]) -> Boards:
    """Return the boards after ``moves``, one list of legal actions per board.

    A game that ends early stays in its final position.
    """
    boards = game.boards(len(moves))
    lengths = np.array([len(each) for each in moves], dtype=np.int64)
    for ply in range(int(lengths.max(initial=0))):
        here = np.flatnonzero((lengths > ply) & ~boards.over)
        if len(here):
            turn = boards[here]
            turn.play(np.array([moves[index][ply] for index in here.tolist()], dtype=np.int64))
            boards.assign(here, turn)
    return boards


def pick_legal(legal: NDArray[np.integer] | Mask, uniform: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return an action (N,) drawn uniformly from the legal ones in each row of ``legal`` (N, actions).

    Args:
        legal: nonzero where an action is legal; a row without legal actions yields action 0.
        uniform: one number in [0, 1) per row (N,), the only source of randomness.
    """
    dtype: type[np.signedinteger] = np.int8 if legal.shape[1] <= _MOST_IN_A_BYTE else np.int32
    count = np.cumsum(legal, axis=1, dtype=dtype)
    wanted = (uniform * count[:, -1].astype(np.float64)).astype(dtype)
    actions: NDArray[np.int64] = np.argmax(count > wanted[:, None], axis=1)
    return actions
