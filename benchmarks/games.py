"""Sampling of other games than Connect Four: ``python -m benchmarks.games``.

A lockstep env runner plays main against itself, forward passes included, in one process with one thread. The rivals
are RLlib's own env runner on the same game, and for PettingZoo's environments, their own loop with random actions.
Rates are steps per second of processor time, so that other processes count for little; ratios are medians of rounds.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from connectfour.cluster.session import ray_session
from connectfour.learning.ppo.algorithm import SelfPlayPPOConfig
from connectfour.settings.reading import load_settings

ZOO = "pettingzoo:pettingzoo.classic."
GAMES: dict[str, dict[str, Any]] = {
    "connect_four": {},
    "tictactoe": {},
    f"{ZOO}tictactoe_v3": {},
    f"{ZOO}connect_four_v3": {},
    f"{ZOO}go_v5": {"board_size": 5},
}
_ROUNDS, _SECONDS = 5, 2.0


def rate(step: Callable[[], int]) -> float:
    """Return how many steps per second of processor time ``step``, which returns how many it made, comes to."""
    steps, start = 0, time.process_time()
    while time.process_time() - start < _SECONDS:
        steps += step()
    return steps / (time.process_time() - start)


def bare(module: str, options: dict[str, Any]) -> Callable[[], int]:
    """Return what plays a random game in a PettingZoo environment."""
    env = importlib.import_module(module).env(**options)
    rng = np.random.default_rng(0)

    def play() -> int:
        env.reset(seed=int(rng.integers(2**31)))
        steps = 0
        for agent in env.agent_iter():
            observation, _, over, cut, _ = env.last()
            mask = observation["action_mask"]
            env.step(None if over or cut else int(rng.choice(np.flatnonzero(mask))))
            steps += not (over or cut)
            del agent
        return steps

    return play


def sampling(folder: Path, game: str, options: dict[str, Any], runner: str) -> Callable[[], int]:
    """Return what samples with an env runner of this process."""
    settings = load_settings(
        {"game": {"name": game, "options": options}},
        [
            f"rollout.env_runner={runner}",
            "rollout.env_runners=0",
            f"rollout.envs_per_runner={256 if runner == 'lockstep' else 32}",
            "ppo.batch_size=4096",
            "ppo.minibatch_size=1024",
            "rollout.mirror_share=1",
            "grading.every=0",
        ],
    )
    algorithm = SelfPlayPPOConfig.from_settings(settings).league(folder=folder).build_algo()
    env_runner = algorithm.env_runner

    def sample() -> int:
        if runner == "lockstep":
            env_runner.sample()
            return 4096
        return sum(episode.env_steps() for episode in env_runner.sample(num_timesteps=512))

    sample()
    return sample


def main() -> None:
    """Print the rates of all games."""
    torch.set_num_threads(1)
    table = Table("game", "lockstep", "to RLlib's runner", "to the bare environment", title="env steps per CPU second")
    with ray_session(cpus=2), TemporaryDirectory() as folder:
        for number, (game, options) in enumerate(GAMES.items()):
            runners = {
                runner: sampling(Path(folder, f"{number}-{runner}"), game, options, runner)
                for runner in ("lockstep", "stock")
            }
            if game.startswith(ZOO):
                runners["bare"] = bare(game.removeprefix("pettingzoo:"), options)
            rounds = [{name: rate(step) for name, step in runners.items()} for _ in range(_ROUNDS)]
            speed = median(each["lockstep"] for each in rounds)
            ratios = {
                name: median(each["lockstep"] / each[name] for each in rounds) for name in runners if name != "lockstep"
            }
            table.add_row(
                game, f"{speed:,.0f}", f"{ratios['stock']:.1f}", f"{ratios['bare']:.2f}" if "bare" in ratios else "-"
            )
    Console().print(table)


if __name__ == "__main__":
    main()
