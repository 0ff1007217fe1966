"""``GymActor``: acts in N copies of a Gymnasium environment."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.core.columns import Columns
from ray.rllib.core.rl_module.rl_module import DEFAULT_MODULE_ID
from ray.rllib.env import INPUT_ENV_SINGLE_SPACES, INPUT_ENV_SPACES
from ray.rllib.env.env_context import EnvContext
from ray.rllib.utils.metrics import (
    NUM_ENV_STEPS_SAMPLED,
    NUM_ENV_STEPS_SAMPLED_LIFETIME,
    NUM_EPISODES,
)
from ray.tune.registry import ENV_CREATOR, _global_registry
from typing_extensions import override

from connectfour.apex.actor import Actor
from connectfour.apex.exploration import explore
from connectfour.apex.transitions import Steps, Transitions
from connectfour.errors import ConfigError


def _creator(config: AlgorithmConfig, context: EnvContext) -> Callable[[], gym.Env[Any, Any]]:
    """Return what makes an environment: RLlib accepts classes, names registered with Tune, and Gymnasium's names."""
    if not isinstance(config.env, str):
        return partial(config.env, context)
    if _global_registry.contains(ENV_CREATOR, config.env):
        return partial(_global_registry.get(ENV_CREATOR, config.env), context)
    return partial(gym.make, config.env, **context)


class GymActor(Actor):
    """Acts in environments with vectors as observations, discrete actions and one agent."""

    def __init__(self, config: AlgorithmConfig, **kwargs: Any) -> None:
        """Build the environments and the module.

        Raises:
            ConfigError: the environment's spaces are of another kind.
        """
        super().__init__(config=config, **kwargs)
        envs = config.num_envs_per_env_runner
        context = EnvContext(config.env_config, self.worker_index or 0, num_workers=config.num_env_runners)
        copies = [context.copy_with_overrides(vector_index=index) for index in range(envs)]
        self.env = gym.vector.SyncVectorEnv([_creator(config, each) for each in copies])
        observations, actions = self.env.single_observation_space, self.env.single_action_space
        if not isinstance(actions, gym.spaces.Discrete) or len(observations.shape or ()) != 1:
            raise ConfigError(
                f"{config.env} has observations {observations} and actions {actions}: GymActor needs a vector and "
                "Discrete actions; write an Actor of your own for others"
            )
        torch.set_num_threads(1)
        self._first_action = int(actions.start)
        self._legal = np.ones((envs, int(actions.n)), np.int8)
        self._rng = np.random.default_rng(self.stream)
        self._returns = np.zeros(envs)
        self._observation, _ = self.env.reset(seed=int(self._rng.integers(2**31)))
        self._resets = np.zeros(envs, np.bool_)
        self.make_module()
        self.become_actor(config.gamma)

    @override
    def get_spaces(self) -> dict[str, tuple[gym.Space[Any], gym.Space[Any]]]:
        """Return the spaces of the environment, in RLlib's form."""
        single = (self.env.single_observation_space, self.env.single_action_space)
        together = (self.env.observation_space, self.env.action_space)
        return {INPUT_ENV_SPACES: together, INPUT_ENV_SINGLE_SPACES: single, DEFAULT_MODULE_ID: single}

    @override
    def sample(self, **kwargs: Any) -> Transitions:
        """Take ``rollout_fragment_length`` steps in every environment."""
        steps = int(self.config.get_rollout_fragment_length(self.worker_index or 0))
        taken = [self._step() for _ in range(steps)]
        count = int(sum(step.real.sum() for step in taken))
        self.metrics.log_value(NUM_ENV_STEPS_SAMPLED, count, reduce="sum")
        self.metrics.log_value(NUM_ENV_STEPS_SAMPLED_LIFETIME, count, reduce="lifetime_sum", with_throughput=True)
        return self.transitions.build(Steps.join(taken))

    def _step(self) -> Steps:
        """Step every environment; one whose episode has just ended resets instead."""
        rows = np.arange(len(self._legal))
        with torch.inference_mode():
            q = self.module[DEFAULT_MODULE_ID].q_values(torch.from_numpy(self._observation)).numpy()
        action = explore(q.argmax(axis=1), self._legal, self.epsilon, self._rng)
        before, resets = self._observation, self._resets
        self._observation, reward, terminated, truncated, _ = self.env.step(action + self._first_action)
        self._resets = terminated | truncated
        self._count(reward, resets)
        return Steps(
            observation={Columns.OBS: before[None].copy()},
            action=action[None],
            reward=reward[None].astype(np.float32),
            terminated=terminated[None],
            cut=self._resets[None],
            seat=np.zeros_like(action[None], dtype=np.int8),
            real=~resets[None],
            q_taken=q[rows, action][None],
            q_best=q.max(axis=1)[None],
        )

    def _count(self, reward: np.ndarray, resets: np.ndarray) -> None:
        self._returns = np.where(resets, 0.0, self._returns + reward)
        self.returns += self._returns[self._resets & self.measured].tolist()
        self.metrics.log_value(NUM_EPISODES, int(self._resets.sum()), reduce="sum")

    @override
    def stop(self) -> None:
        """Close the environments."""
        self.env.close()
