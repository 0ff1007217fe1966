"""``PPOEnvRunner``: the lockstep runner with PPO's advantages and lookahead."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from typing_extensions import override

from connectfour.games.contract import Actions, Packed
from connectfour.games.observation import Observation
from connectfour.league.members import MAIN
from connectfour.learning.env_runner import SelfPlayEnvRunner, rows_by_player, sample_logits
from connectfour.learning.ppo.advantages import advantages
from connectfour.learning.ppo.lookahead import action_values, improved_policy
from connectfour.learning.ppo.rollout import PolicyRollout
from connectfour.learning.ppo.samples import Samples
from connectfour.learning.ppo.settings import PPORunSettings

_MAIN = 0


class PPOEnvRunner(SelfPlayEnvRunner[PolicyRollout]):
    """Turns rollouts into ``Samples`` of main's own moves."""

    settings: PPORunSettings
    rollout_class = PolicyRollout

    @override
    def choose(self, observation: Observation, player: NDArray[np.int64], rollout: PolicyRollout, ply: int) -> Actions:
        """Sample every board's move from the logits of the network that plays it."""
        evaluate = self._evaluator(observation)
        logits = np.zeros((self.num_envs, self.game.actions), np.float32)
        for index, rows in rows_by_player(player):
            if index in self._memory:
                continue
            output = evaluate(index, rows)
            logits[rows] = output.logits.numpy()
            if index == _MAIN:
                rollout.value[ply, rows] = output.value.numpy()
        rollout.logits[ply] = logits
        action, rollout.log_probability[ply] = sample_logits(torch.from_numpy(logits))
        return action

    @torch.inference_mode()
    def value_of(self, packed: Packed) -> NDArray[np.float32]:
        """Return main's value (N,) of packed positions (N, ...), for the player to move."""
        network = self.module[MAIN].network
        planes = torch.from_numpy(self.game.expand(packed).planes)
        value: NDArray[np.float32] = network.value(network.encode(planes)).numpy()
        return value

    @override
    def learnable(self, rollout: PolicyRollout) -> Samples:
        """Return main's moves with their advantages, with lookahead targets for a share of them."""
        seat = self.boards.seat.astype(np.int8)
        advantage = advantages(
            rollout, self.value_of(self.boards.pack()), seat, self.config.gamma, self.config.lambda_
        ).ravel()
        rows = rollout.chosen
        samples = Samples(
            packed=rollout.packed.reshape(-1, *rollout.packed.shape[2:])[rows],
            action=rollout.action.ravel()[rows],
            log_probability=rollout.log_probability.ravel()[rows],
            advantage=advantage[rows],
            value_target=rollout.value.ravel()[rows] + advantage[rows],
        )
        if not self.settings.lookahead.share:
            return samples
        return self._look_ahead(samples, rollout.logits.reshape(-1, rollout.logits.shape[-1])[rows])

    def _look_ahead(self, samples: Samples, logits: NDArray[np.float32]) -> Samples:
        """Add policy targets and blend value targets for the positions chosen for lookahead."""
        settings = self.settings.lookahead
        chosen = np.flatnonzero(self._rng.random(len(samples)) < settings.share)
        values = action_values(self.game, samples.packed[chosen], self.value_of, self.config.gamma)
        policy = np.zeros_like(logits)
        policy[chosen] = improved_policy(logits[chosen], values, settings.temperature)
        value_target = samples.value_target.copy()
        value_target[chosen] *= 1 - settings.value_share
        value_target[chosen] += settings.value_share * values.max(axis=1)
        return replace(samples, value_target=value_target, improved_policy=policy)
