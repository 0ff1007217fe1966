"""``ApexEnvRunner``: the lockstep runner as an Ape-X actor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from typing_extensions import override

from connectfour.apex.actor import Actor, Order
from connectfour.apex.exploration import explore
from connectfour.apex.transitions import Steps, Transitions
from connectfour.games.contract import Actions
from connectfour.games.observation import Observation
from connectfour.games.result import SeatScores
from connectfour.league.matchmaking import Roster
from connectfour.league.members import MAIN
from connectfour.learning.apex.rollout import QRollout
from connectfour.learning.apex.settings import ApexRunSettings
from connectfour.learning.env_runner import SelfPlayEnvRunner, rows_by_player, sample_logits
from connectfour.learning.rl_module import as_tensors
from connectfour.networks.network import Q_TEMPERATURE

PACKED = "packed"
"""Column of packed observations."""

_MAIN = 0


@dataclass(frozen=True)
class GamesPlayed:
    """What a report says about the league: main's scores by opponent since the previous report."""

    results: dict[str, SeatScores]


class ApexEnvRunner(SelfPlayEnvRunner[QRollout], Actor):
    """Plays main's moves greedily with exploration, and turns every ply of every game into a transition.

    Q-learning is off-policy, so it learns from the opponents' moves, too. In the games that count, main samples its
    moves as its frozen copies do: a greedy player and a sampling one with the same weights are not equally strong.
    Results count only on boards that would hardly explore, so the others go on exploring against the pool.
    """

    settings: ApexRunSettings
    rollout_class = QRollout

    def __init__(self, config: AlgorithmConfig, **kwargs: object) -> None:
        """Build modules and boards as ``config`` says."""
        super().__init__(config=config, **kwargs)
        self.become_actor(config.gamma)

    @override
    def follow(self, order: Order) -> None:
        """Load newer weights, and draw games from a newer roster."""
        super().follow(order)
        roster: Roster = order.extra
        if roster != self.matchmaker.roster:
            self.matchmaker.follow(roster)

    @override
    def begin_anew(self) -> None:
        """Forget the games, too."""
        super().begin_anew()
        self.restart_games()

    @override
    def report(self) -> GamesPlayed:
        """Return the results of the games that have ended."""
        return GamesPlayed(self.matchmaker.drain())

    @override
    def learnable(self, rollout: QRollout) -> Transitions:
        """Return the transitions that the rollout completes."""
        taken = np.take_along_axis(rollout.q_values, rollout.action[:, :, None].astype(np.int64), axis=2)
        return self.transitions.build(
            Steps(
                observation={PACKED: rollout.packed},
                action=rollout.action,
                reward=rollout.reward,
                terminated=rollout.ended,
                cut=rollout.ended,
                seat=rollout.seat,
                real=np.ones_like(rollout.ended),
                q_taken=taken[:, :, 0],
                q_best=rollout.q_values.max(axis=2),
            )
        )

    @override
    def choose(self, observation: Observation, player: NDArray[np.int64], rollout: QRollout, ply: int) -> Actions:
        """Choose every board's move, and record main's Q-values of all positions: also where an opponent moves."""
        q = self.module[MAIN].q_values(as_tensors(observation))
        rollout.q_values[ply] = q.numpy()
        action: Actions = q.argmax(dim=1).numpy()
        as_frozen = (player == _MAIN) & self._counted
        action[as_frozen], _ = sample_logits(q[torch.from_numpy(as_frozen)] / Q_TEMPERATURE)
        mine = (player == _MAIN) & ~as_frozen
        action[mine] = explore(action[mine], observation.action_mask[mine], self.epsilon[mine], self._rng)
        evaluate = self._evaluator(observation)
        for index, rows in rows_by_player(player):
            if index != _MAIN and index not in self._memory:
                action[rows], _ = sample_logits(evaluate(index, rows).logits)
        return action

    @property
    def _counted(self) -> NDArray[np.bool_]:
        """Which of the games in progress count, (N,)."""
        counted: NDArray[np.bool_] = self.measured & ~self._is_mirror
        return counted

    @override
    def _counts(self, ended: NDArray[np.int64]) -> NDArray[np.bool_]:
        return self._counted[ended]
