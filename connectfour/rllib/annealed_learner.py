"""``AnnealedLearner``: RLlib's learner with schedules over the share of a run that is done.

RLlib's schedules follow env steps, but a run that is limited by time does not know how many env steps it will have.
"""

from __future__ import annotations

from typing import Any

from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.core.learner.torch.torch_learner import TorchLearner
from ray.rllib.utils.metrics import NUM_ENV_STEPS_SAMPLED_LIFETIME
from typing_extensions import override

from connectfour.system.allocator import keep_freed_memory

SCHEDULE_LENGTH = 1_000_000
"""RLlib's schedules (learning rate, entropy) run from 0 to this, whatever the limits of the run are."""


def schedule(start: float, end: float) -> list[tuple[int, float]]:
    """Return RLlib's notation for a value that changes linearly from ``start`` to ``end`` over a run."""
    return [(0, start), (SCHEDULE_LENGTH, end)]


class AnnealedLearner(TorchLearner):  # type: ignore[misc]  # Ray's classes are untyped here
    """Learns the modules in ``policies_to_train`` alone, with schedules that follow ``share_done``.

    Attributes:
        share_done: the share of the run that is done, in [0, 1].
    """

    share_done = 0.0

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
