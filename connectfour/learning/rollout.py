"""What a lockstep rollout keeps, in columns, and the advantages of main's moves.

Both players' moves lie on one time axis. Advantages are RLlib's: generalised advantage estimation (Schulman et al.
2016) along each player's own moves, with the game's result as the reward of the last one. Where the rollout cuts a
game, the value of the position stands for the rest of it; to the player who is not to move it is worth the negative.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from ray.rllib.core.columns import Columns
from ray.rllib.evaluation.postprocessing import Postprocessing
from ray.rllib.policy.sample_batch import MultiAgentBatch, SampleBatch

from connectfour.game.bitboard import COLUMNS, Bits, Outcome, legal_columns, to_planes
from connectfour.league.matchmaking import MAIN

Floats = NDArray[np.float32]

_REWARD_OF_MOVER = np.zeros(len(Outcome), dtype=np.float32)
_REWARD_OF_MOVER[Outcome.WIN], _REWARD_OF_MOVER[Outcome.ILLEGAL] = 1, -1
_REWARD_OF_OTHER = np.zeros(len(Outcome), dtype=np.float32)
_REWARD_OF_OTHER[Outcome.WIN] = -1


@dataclass
class Rollout:
    """T plies on N boards in lockstep; all arrays begin with the axes (T, N).

    Attributes:
        own, occupied: the position before the move, as bitboards (uint64).
        seat: who is to move, 0 or 1 (int8).
        by_main: whether main chose the move.
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
            column=np.zeros(shape, np.int8),
            logits=np.zeros((*shape, COLUMNS), np.float32),
            log_probability=np.zeros(shape, np.float32),
            value=np.zeros(shape, np.float32),
            outcome=np.zeros(shape, np.int8),
        )

    def columns_of_main(self, advantages: Floats) -> dict[str, NDArray[np.generic]]:
        """Return the fields of main's moves alone, flattened to (samples, ...), with ``advantages`` (T, N)."""
        kept = {field.name: getattr(self, field.name)[self.by_main] for field in fields(self)}
        return {**kept, "advantage": advantages[self.by_main]}


def advantages(
    rollout: Rollout, last_value: Floats, last_seat: NDArray[np.int8], gamma: float, lambda_: float
) -> Floats:
    """Return the advantage (T, N) of each move along its player's own moves; only main's are meaningful.

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
        reward[ended, seat[ended]] = _REWARD_OF_MOVER[outcome[ended]]
        reward[ended, 1 - seat[ended]] = _REWARD_OF_OTHER[outcome[ended]]
        delta = reward[board, seat] + gamma * next_value[board, seat] - value
        found[ply] = delta + gamma * lambda_ * next_advantage[board, seat]
        next_value[board, seat], next_advantage[board, seat], reward[board, seat] = value, found[ply], 0
    return found


def train_batch(sampled: list[dict[str, NDArray[Any]]]) -> MultiAgentBatch:
    """Return main's moves of all env runners in the columns that PPO's learner reads, advantages standardised."""
    columns = {name: np.concatenate([each[name] for each in sampled]) for name in sampled[0]}
    advantage, value = columns["advantage"], columns["value"]
    batch = {
        Columns.OBS: {
            "observation": to_planes(columns["own"], columns["occupied"]),
            "action_mask": legal_columns(columns["occupied"]).astype(np.int8),
        },
        Columns.ACTIONS: columns["column"].astype(np.int64),
        Columns.ACTION_LOGP: columns["log_probability"],
        Columns.ACTION_DIST_INPUTS: columns["logits"],
        Postprocessing.ADVANTAGES: (advantage - advantage.mean()) / max(1e-4, advantage.std()),
        Postprocessing.VALUE_TARGETS: advantage + value,
    }
    return MultiAgentBatch({MAIN: SampleBatch(batch)}, env_steps=len(advantage))
