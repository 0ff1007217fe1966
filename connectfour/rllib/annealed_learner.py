"""``AnnealedLearner``: RLlib's learner with schedules over the share of a run that is done, and finite weights.

RLlib's schedules follow env steps, but a run that is limited by time does not know how many env steps it will have.
"""

from __future__ import annotations

from typing import Any

import torch
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.core.learner.torch.torch_learner import TorchLearner
from ray.rllib.utils.metrics import NUM_ENV_STEPS_SAMPLED_LIFETIME
from torch import Tensor
from typing_extensions import override

from connectfour.errors import TrainingError
from connectfour.system.allocator import keep_freed_memory

SCHEDULE_LENGTH = 1_000_000
"""RLlib's schedules (learning rate, entropy) run from 0 to this, whatever the limits of the run are."""


def schedule(start: float, end: float) -> list[tuple[int, float]]:
    """Return RLlib's notation for a value that changes linearly from ``start`` to ``end`` over a run."""
    return [(0, start), (SCHEDULE_LENGTH, end)]


class AnnealedLearner(TorchLearner):  # type: ignore[misc]  # Ray's classes are untyped here
    """Learns the modules in ``policies_to_train`` alone, with schedules that follow ``share_done``.

    A loss or a gradient that is not finite ends training before it reaches the weights.

    Attributes:
        share_done: the share of the run that is done, in [0, 1].
    """

    share_done = 0.0
    _bad_loss = ""

    @override
    def build(self) -> None:
        """Build modules and optimizers."""
        keep_freed_memory()
        super().build()

    @override
    def configure_optimizers_for_module(self, module_id: str, config: AlgorithmConfig | None = None) -> None:
        """Create optimizers only for trained modules: RLlib would otherwise step one for every frozen module."""
        if module_id in (self.config.policies_to_train or [module_id]):
            super().configure_optimizers_for_module(module_id=module_id, config=config)

    @override
    def compute_gradients(self, loss_per_module: dict[str, Tensor], **kwargs: Any) -> dict[Any, Tensor]:
        """Return the gradients, and note a loss that is not finite.

        Several learners average their gradients here; one that left them waiting would hold up the others for ever.
        """
        bad = {name: loss.item() for name, loss in loss_per_module.items() if not loss.isfinite()}
        self._bad_loss = ", ".join(f"the loss of {name} is {loss}" for name, loss in bad.items())
        gradients: dict[Any, Tensor] = super().compute_gradients(loss_per_module, **kwargs)
        return gradients

    @override
    def apply_gradients(self, gradients_dict: dict[Any, Tensor]) -> None:
        """Take a gradient step.

        Raises:
            TrainingError: a loss or a gradient is not finite.
        """
        sums = [gradient.sum() for gradient in gradients_dict.values() if gradient is not None]
        if sums and not torch.stack(sums).sum().isfinite():
            raise _diverged(self._bad_loss or "a gradient is not finite")
        if self._bad_loss and self.config.num_learners <= 1:
            raise _diverged(self._bad_loss)
        super().apply_gradients(gradients_dict)

    @property
    def schedule_time(self) -> int:
        """The position on RLlib's schedules, from 0 to ``SCHEDULE_LENGTH``."""
        return round(self.share_done * SCHEDULE_LENGTH)

    @override
    def before_gradient_based_update(self, *, timesteps: dict[str, Any]) -> None:
        """Bring the learning rate up to date."""
        super().before_gradient_based_update(timesteps=timesteps)
        for optimizer, learning_rate in self._optimizer_lr_schedules.items():
            self._set_optimizer_lr(optimizer, lr=learning_rate.update(timestep=self.schedule_time))

    @override
    def after_gradient_based_update(self, *, timesteps: dict[str, Any]) -> None:
        """Keep RLlib from advancing the schedules by env steps."""
        super().after_gradient_based_update(timesteps={NUM_ENV_STEPS_SAMPLED_LIFETIME: self.schedule_time})


def _diverged(what: str) -> TrainingError:
    return TrainingError(
        f"training diverged: {what}; look for rewards and observations that are not numbers, and resume the newest "
        "checkpoint with a lower learning rate"
    )
