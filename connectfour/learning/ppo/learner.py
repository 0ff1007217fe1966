"""``SelfPlayLearner``: RLlib's PPO learner for lockstep samples, with schedules over a run.

Positions travel packed. Each learner expands its share of them once, and takes each minibatch with one gather per
column.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.algorithms.ppo.torch.ppo_torch_learner import PPOTorchLearner
from ray.rllib.core.columns import Columns
from ray.rllib.core.learner.learner import ENTROPY_KEY, POLICY_LOSS_KEY, VF_LOSS_KEY
from ray.rllib.core.learner.training_data import TrainingData
from ray.rllib.evaluation.postprocessing import Postprocessing
from ray.rllib.policy.sample_batch import MultiAgentBatch, SampleBatch
from torch import Tensor
from typing_extensions import override

from connectfour.games.contract import Game
from connectfour.league.members import MAIN
from connectfour.learning.ppo.samples import Samples
from connectfour.rllib.annealed_learner import AnnealedLearner

IMPROVED_POLICY = "improved_policy"
"""Column of a minibatch with the policy targets from lookahead."""

_OBSERVATION = ("observation", "action_mask")
_LOG_OF_NOTHING = -50.0


class SelfPlayLearner(AnnealedLearner, PPOTorchLearner):  # type: ignore[misc]  # Ray's classes are untyped here
    """PPO on main's moves."""

    @override
    def build(self) -> None:
        """Build module and optimizer, and read the settings once."""
        super().build()
        self._lookahead_weight: float = self.config.settings.lookahead.weight
        self._game: Game = self.config.settings.game.rules

    @override
    def before_gradient_based_update(self, *, timesteps: dict[str, Any]) -> None:
        """Bring the schedules up to date: checkpoints do not store the entropy schedule."""
        super().before_gradient_based_update(timesteps=timesteps)
        self.entropy_coeff_schedulers_per_module[MAIN].update(timestep=self.schedule_time)

    @override
    def compute_loss_for_module(
        self, *, module_id: str, config: AlgorithmConfig, batch: dict[str, Any], fwd_out: dict[str, Tensor]
    ) -> Tensor:
        """Return PPO's loss, plus the cross-entropy to the improved policy where the batch has one.

        On a lockstep batch this equals RLlib's loss, without its distributions and diagnostics.
        """
        if Columns.LOSS_MASK in batch:  # from the stock runner: padded episodes
            loss: Tensor = super().compute_loss_for_module(
                module_id=module_id, config=config, batch=batch, fwd_out=fwd_out
            )
            return loss
        # A masked logit is finite but huge; its probability is zero, and zero times huge must stay zero.
        log_policy = torch.log_softmax(fwd_out[Columns.ACTION_DIST_INPUTS], dim=1).clamp(min=_LOG_OF_NOTHING)
        log_probability = log_policy.gather(1, batch[Columns.ACTIONS][:, None])[:, 0]
        ratio = (log_probability - batch[Columns.ACTION_LOGP]).exp()
        advantage = batch[Postprocessing.ADVANTAGES]
        clipped = ratio.clamp(1 - config.clip_param, 1 + config.clip_param)
        policy_loss = -torch.minimum(ratio * advantage, clipped * advantage).mean()
        entropy = -(log_policy.exp() * log_policy).sum(dim=1).mean()
        value = self.module[module_id].unwrapped().compute_values(batch, embeddings=fwd_out[Columns.EMBEDDINGS])
        value_loss = (value - batch[Postprocessing.VALUE_TARGETS]).square().mean()
        entropy_weight = self.entropy_coeff_schedulers_per_module[module_id].get_current_value()
        total: Tensor = policy_loss + config.vf_loss_coeff * value_loss - entropy_weight * entropy
        terms = {POLICY_LOSS_KEY: policy_loss, VF_LOSS_KEY: value_loss, ENTROPY_KEY: entropy}
        if IMPROVED_POLICY in batch:
            target = batch[IMPROVED_POLICY]
            terms["lookahead_loss"] = -(target * log_policy).sum() / target.sum().clamp(min=1)
            total = total + self._lookahead_weight * terms["lookahead_loss"]
        self.metrics.log_dict({name: term.detach() for name, term in terms.items()}, key=module_id, window=1)
        return total

    @override
    def _create_iterator_if_necessary(
        self, *, training_data: TrainingData, num_epochs: int = 1, num_total_minibatches: int = 0, **kwargs: Any
    ) -> Iterable[MultiAgentBatch]:
        if training_data.batch is None:
            iterator: Iterable[MultiAgentBatch] = super()._create_iterator_if_necessary(
                training_data=training_data,
                num_epochs=num_epochs,
                num_total_minibatches=num_total_minibatches,
                **kwargs,
            )
            return iterator
        columns = learner_columns(self._game, Samples.from_batch(training_data.batch), self.device)
        return _minibatches(columns, epochs=num_epochs, per_epoch=num_total_minibatches // num_epochs)


def learner_columns(game: Game, samples: Samples, device: torch.device) -> dict[str, Tensor]:
    """Return the columns that PPO's loss reads, with positions expanded; observation columns keep their keys."""
    observation = game.expand(samples.packed)
    arrays = {
        **dict(zip(_OBSERVATION, (observation.planes, observation.action_mask), strict=True)),
        Columns.ACTIONS: samples.action.astype(np.int64),
        Columns.ACTION_LOGP: samples.log_probability,
        Postprocessing.ADVANTAGES: samples.advantage,
        Postprocessing.VALUE_TARGETS: samples.value_target,
    }
    if samples.improved_policy is not None:
        arrays[IMPROVED_POLICY] = samples.improved_policy
    return {name: torch.from_numpy(array).to(device) for name, array in arrays.items()}


def _minibatches(columns: dict[str, Tensor], *, epochs: int, per_epoch: int) -> Iterator[MultiAgentBatch]:
    """Yield ``per_epoch`` minibatches of nearly equal size in each of ``epochs`` random orders of the samples."""
    samples = len(columns[Columns.ACTIONS])
    for _ in range(epochs):
        for rows in torch.randperm(samples, device=columns[Columns.ACTIONS].device).tensor_split(per_epoch):
            taken = {name: column.index_select(0, rows) for name, column in columns.items()}
            observation = {name: taken.pop(name) for name in _OBSERVATION}
            yield MultiAgentBatch({MAIN: SampleBatch({Columns.OBS: observation, **taken})}, env_steps=len(rows))
