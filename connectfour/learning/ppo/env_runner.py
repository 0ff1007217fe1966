"""``PPOEnvRunner``: the lockstep runner with PPO's advantages and lookahead."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from connectfour.games.connect_four.packing import PACKED_SHAPE, pack
from connectfour.learning.env_runner import SelfPlayEnvRunner
from connectfour.learning.ppo.advantages import advantages
from connectfour.learning.ppo.lookahead import action_values, improved_policy
from connectfour.learning.ppo.samples import Samples
from connectfour.learning.ppo.settings import PPORunSettings
from connectfour.learning.rollout import Rollout


class PPOEnvRunner(SelfPlayEnvRunner):
    """Turns rollouts into ``Samples`` of main's own moves."""

    settings: PPORunSettings

    @override
    def learnable(self, rollout: Rollout) -> Samples:
        """Return main's moves with their advantages, with lookahead targets for a share of them."""
        seat = self.boards.seat.astype(np.int8)
        advantage = advantages(
            rollout, self.value_of(pack(self.boards)), seat, self.config.gamma, self.config.lambda_
        ).ravel()
        rows = rollout.chosen
        samples = Samples(
            packed=rollout.packed.reshape(-1, *PACKED_SHAPE)[rows],
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
        values = action_values(samples.packed[chosen], self.value_of, self.config.gamma)
        policy = np.zeros_like(logits)
        policy[chosen] = improved_policy(logits[chosen], values, settings.temperature)
        value_target = samples.value_target.copy()
        value_target[chosen] *= 1 - settings.value_share
        value_target[chosen] += settings.value_share * values.max(axis=1)
        return replace(samples, value_target=value_target, improved_policy=policy)
