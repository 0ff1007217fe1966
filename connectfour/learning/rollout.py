"""What a lockstep rollout keeps, in columns, and the advantages of main's moves.

Both players' moves lie on one time axis. Advantages are RLlib's: generalised advantage estimation (Schulman et al.
2016) along each player's own moves, with the game's result as the reward of the last one. Where the rollout cuts a
game, the value of the position stands for the rest of it; to the player who is not to move it is worth the negative.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from ray.rllib.policy.sample_batch import MultiAgentBatch, SampleBatch

from connectfour.games.connect_four.bitboard import COLUMNS, Bits, Outcome, gain_of_mover
from connectfour.league.members import MAIN

Floats = NDArray[np.float32]


@dataclass
class Rollout:
    """T plies on N boards in lockstep; all arrays begin with the axes (T, N).

    Attributes:
        own, occupied: the position before the move, as bitboards (uint64).
        seat: who is to move, 0 or 1 (int8).
        by_main: whether main chose the move.
        slip: whether the move replaced one of main's by chance.
        column: the move (int8).
        logits: main's masked logits, (T, N, 7) float32; like ``log_probability`` and ``value`` undefined elsewhere.
        log_probability: of the move.
        value: main's value of the position, seen by the player to move.
        outcome: ``Outcome`` of the move.
    """

    own: Bits
    occupied: Bits
    seat: NDArray[np.int8]
    by_main: NDArray[np.bool_]
    slip: NDArray[np.bool_]
    column: NDArray[np.int8]
    logits: Floats
    log_probability: Floats
    value: Floats
    outcome: NDArray[np.int8]

    @classmethod
    def empty(cls, plies: int, boards: int) -> Rollout:
        """Allocate a rollout of ``plies`` plies on ``boards`` boards."""
        shape = (plies, boards)
        return cls(
            own=np.zeros(shape, np.uint64),
            occupied=np.zeros(shape, np.uint64),
            seat=np.zeros(shape, np.int8),
            by_main=np.zeros(shape, np.bool_),
            slip=np.zeros(shape, np.bool_),
            column=np.zeros(shape, np.int8),
            logits=np.zeros((*shape, COLUMNS), np.float32),
            log_probability=np.zeros(shape, np.float32),
            value=np.zeros(shape, np.float32),
            outcome=np.zeros(shape, np.int8),
        )

    def learnable(self, advantages: Floats) -> dict[str, NDArray[Any]]:
        """Return what a learner needs of main's own moves, each column (samples, ...), with ``advantages`` (T, N)."""
        rows = np.flatnonzero(self.by_main & ~self.slip)
        kept = {name: getattr(self, name).reshape(-1, *getattr(self, name).shape[2:])[rows] for name in _LEARNED}
        advantage = advantages.ravel()[rows]
        return {**kept, "advantage": advantage, "value_target": self.value.ravel()[rows] + advantage}


_LEARNED = ("own", "occupied", "column", "logits", "log_probability")


def advantages(
    rollout: Rollout, last_value: Floats, last_seat: NDArray[np.int8], gamma: float, lambda_: float
) -> Floats:
    """Return the advantage (T, N) of each move along its player's own moves; only main's are meaningful.

    At the end of the rollout, and at a slip, which is no choice of main's, the value of the position stands for what
    followed.

    Args:
        rollout: the moves.
        last_value: main's value (N,) of the positions after the last ply, seen by the player to move.
        last_seat: who is to move there (N,).
        gamma: discount per own move.
        lambda_: weight of longer traces.
    """
    plies, boards = rollout.value.shape
    board = np.arange(boards)
    # Per board and seat: what follows the seat's latest move that was not handled yet.
    next_value = np.empty((boards, 2), np.float32)
    next_value[board, last_seat], next_value[board, 1 - last_seat] = last_value, -last_value
    next_advantage = np.zeros((boards, 2), np.float32)
    reward = np.zeros((boards, 2), np.float32)
    found = np.empty((plies, boards), np.float32)
    for ply in reversed(range(plies)):
        seat, outcome, value = rollout.seat[ply], rollout.outcome[ply], rollout.value[ply]
        ended = np.flatnonzero(outcome)
        next_value[ended] = next_advantage[ended] = 0
        reward[ended, seat[ended]] = gain_of_mover(outcome[ended])
        # An illegal move costs the player who made it and gives the other nothing, as in PettingZoo.
        reward[ended, 1 - seat[ended]] = -1 * (outcome[ended] == Outcome.WIN)
        delta = reward[board, seat] + gamma * next_value[board, seat] - value
        found[ply] = delta + gamma * lambda_ * next_advantage[board, seat]
        next_value[board, seat], next_advantage[board, seat], reward[board, seat] = value, found[ply], 0
        slip = np.flatnonzero(rollout.slip[ply])
        next_value[slip, 1 - seat[slip]] = -value[slip]
        next_advantage[slip] = reward[slip] = 0
    return found


def train_batch(sampled: list[dict[str, NDArray[Any]]]) -> MultiAgentBatch:
    """Return main's moves of all env runners as one batch of columns, advantages standardised."""
    columns = {name: np.concatenate([each[name] for each in sampled]) for name in sampled[0]}
    advantage = columns["advantage"]
    columns["advantage"] = (advantage - advantage.mean()) / max(1e-4, advantage.std())
    return MultiAgentBatch({MAIN: SampleBatch(columns)}, env_steps=len(advantage))
