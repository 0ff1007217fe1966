"""Env steps per second on RLlib's stock path, against RLlib's own PettingZoo wrapper.

``python -m benchmarks.stock_path`` samples with the ``MultiAgentEnvRunner`` and a freshly initialised network, once
with ``ConnectFourEnv`` and the whole league, once with ``PettingZooEnv`` and one policy for both seats.
"""

from __future__ import annotations

import logging
import time
import warnings
from typing import Any

from pettingzoo.classic.connect_four import connect_four
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.env.multi_agent_env_runner import MultiAgentEnvRunner
from ray.rllib.env.wrappers.pettingzoo_env import PettingZooEnv
from ray.tune.registry import register_env

from callbacks.self_play import SelfPlayCallback
from connectfour.config import RunSettings
from connectfour.learning.algorithm import SelfPlayPPOConfig
from connectfour.learning.rl_module import ActionMaskingRLModule

_SECONDS = 10.0


def league_config(envs: int) -> Any:
    """Return the league's configuration with ``envs`` environments in one runner."""
    config = SelfPlayPPOConfig.from_settings(RunSettings()).callbacks(SelfPlayCallback)
    return config.env_runners(num_env_runners=0, num_envs_per_env_runner=envs, rollout_fragment_length=32)


def stock_config(envs: int) -> Any:
    """Return the plainest configuration that RLlib offers for the same network."""
    register_env("stock", lambda _: PettingZooEnv(connect_four.env()))
    network = RunSettings().network.model_dump()
    module = RLModuleSpec(module_class=ActionMaskingRLModule, model_config={"network": network})
    return (
        PPOConfig()
        .environment("stock", disable_env_checking=True)
        .env_runners(num_env_runners=0, num_envs_per_env_runner=envs, rollout_fragment_length=32)
        .multi_agent(policies={"both"}, policy_mapping_fn=lambda *_, **__: "both")
        .rl_module(rl_module_spec=module)
    )


def steps_per_second(config: Any) -> float:
    """Return env steps per second of one env runner."""
    runner = MultiAgentEnvRunner(config=config)
    runner.sample()
    steps, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < _SECONDS:
        steps += sum(len(episode) for episode in runner.sample())
    runner.stop()
    return steps / elapsed


def main() -> None:
    """Measure and print."""
    logging.getLogger("ray.rllib").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", message=".*Overriding environment")  # RLlib registers one name again and again
    print(f"{'environments':<14}{'PettingZooEnv':>15}{'league':>12}{'ratio':>8}   env steps/s, one runner, one process")
    for envs in (1, 8, 32):
        stock, league = steps_per_second(stock_config(envs)), steps_per_second(league_config(envs))
        print(f"{envs:<14}{stock:>15,.0f}{league:>12,.0f}{league / stock:>8.2f}")


if __name__ == "__main__":
    main()
