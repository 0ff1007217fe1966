"""``ModuleRunner``: the base of env runners that step their games or environments by themselves."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import gymnasium as gym
import ray
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.core import COMPONENT_RL_MODULE
from ray.rllib.env.env_runner import EnvRunner
from ray.rllib.utils.checkpoints import Checkpointable
from ray.rllib.utils.metrics import NUM_ENV_STEPS_SAMPLED_LIFETIME, WEIGHTS_SEQ_NO
from typing_extensions import override

from connectfour.rllib.streams import runner_stream, seed_everything


class ModuleRunner(EnvRunner, Checkpointable):  # type: ignore[misc]  # Ray's classes are untyped here
    """An env runner with a MultiRLModule, its weights, and its share of a checkpoint.

    Attributes:
        module: the MultiRLModule, as in RLlib's own runners.
        stream: seeds of its random numbers.
    """

    num_env_steps_sampled_lifetime: int

    def __init__(self, config: AlgorithmConfig, **kwargs: Any) -> None:
        """Follow ``config``; a subclass calls ``make_module`` when its spaces are known."""
        super().__init__(config=config, **kwargs)
        self._weights_seq_no = 0
        self.stream = runner_stream(config, self.worker_index or 0)
        seed_everything(self.stream)

    @abstractmethod
    def get_spaces(self) -> dict[str, tuple[gym.Space[Any], gym.Space[Any]]]:
        """Return the spaces of each module, in RLlib's form."""

    @override
    def make_module(self) -> None:
        """Build the MultiRLModule."""
        spec = self.config.get_multi_rl_module_spec(spaces=self.get_spaces(), inference_only=True)
        self.module = spec.build()

    @override
    def get_metrics(self) -> Any:
        """Return what was logged since the last call."""
        return self.metrics.reduce()

    @override
    def get_state(self, components: Any = None, *, not_components: Any = None, **kwargs: Any) -> dict[str, Any]:
        """Return the modules' weights and the count of env steps."""
        state: dict[str, Any] = {NUM_ENV_STEPS_SAMPLED_LIFETIME: self.num_env_steps_sampled_lifetime}
        if self._check_component(COMPONENT_RL_MODULE, components, not_components):
            state[COMPONENT_RL_MODULE] = self.module.get_state(
                components=self._get_subcomponents(COMPONENT_RL_MODULE, components),
                not_components=self._get_subcomponents(COMPONENT_RL_MODULE, not_components),
                **kwargs,
            )
            state[WEIGHTS_SEQ_NO] = self._weights_seq_no
        return state

    @override
    def set_state(self, state: dict[str, Any]) -> None:
        """Load weights, unless their sequence number shows that they are not newer, as RLlib's own runners do."""
        if COMPONENT_RL_MODULE in state:
            weights_seq_no = state.get(WEIGHTS_SEQ_NO, 0)
            if weights_seq_no == 0 or self._weights_seq_no < weights_seq_no:
                weights = state[COMPONENT_RL_MODULE]
                self.module.set_state(ray.get(weights) if isinstance(weights, ray.ObjectRef) else weights)
            self._weights_seq_no = weights_seq_no or self._weights_seq_no
        self.num_env_steps_sampled_lifetime = state.get(
            NUM_ENV_STEPS_SAMPLED_LIFETIME, self.num_env_steps_sampled_lifetime
        )

    @override
    def get_checkpointable_components(self) -> list[tuple[str, Any]]:
        """Return the modules."""
        return [(COMPONENT_RL_MODULE, self.module)]

    @override
    def get_ctor_args_and_kwargs(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the constructor's arguments."""
        return (), {"config": self.config}

    @override
    def assert_healthy(self) -> None:
        """Fail if there is no module."""
        if not self.module:
            raise RuntimeError("the env runner has no module")
