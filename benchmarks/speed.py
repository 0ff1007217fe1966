"""Measures how fast the league samples and learns, as ratios to baselines in the same run: ``make bench``.

Every measurement has its own process, with the same network, epochs and minibatches. Baselines are RLlib's stock path
(``MultiAgentEnvRunner`` on its own ``PettingZooEnv``, one policy for both seats) and a bare loop in NumPy and Torch.
``python -m benchmarks.speed`` prints a table and writes ``benchmarks/results.json``.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from pettingzoo.classic.connect_four import connect_four
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.env.multi_agent_env_runner import MultiAgentEnvRunner
from ray.rllib.env.wrappers.pettingzoo_env import PettingZooEnv
from ray.tune.registry import register_env
from rich.console import Console
from rich.table import Table

from benchmarks.bare_loop import BareLoop
from connectfour.cluster.session import ray_session
from connectfour.league.matchmaking import Roster
from connectfour.learning.ppo.algorithm import SelfPlayPPO, SelfPlayPPOConfig
from connectfour.learning.ppo.env_runner import PPOEnvRunner
from connectfour.learning.ppo.settings import PPORunSettings
from connectfour.learning.rl_module import ActionMaskingRLModule
from connectfour.networks.network import multiplies_bfloat16
from connectfour.settings.reading import load_settings

RESULTS = Path(__file__).parent / "results.json"

# Both sides of a comparison play main against itself from the empty board, without lookahead and slips, which
# the baselines do not have.
SAME_WORK = (
    "rollout.mirror_share=1.0",
    "rollout.mirror_opening_plies=0",
    "rollout.slip_probability=0",
    "lookahead.share=0",
    "stop.minutes=null",
)
_SECONDS = 5.0


def ppo_settings(*overrides: str) -> PPORunSettings:
    """Return settings of a PPO run."""
    settings = load_settings(None, overrides)
    assert isinstance(settings, PPORunSettings)  # noqa: S101  # for the type checker
    return settings


def league(*overrides: str) -> SelfPlayPPO:
    """Build the league's algorithm."""
    config = SelfPlayPPOConfig.from_settings(load_settings(None, ["stop.minutes=null", *overrides]))
    algorithm: SelfPlayPPO = config.league(folder=TemporaryDirectory().name).build_algo()
    return algorithm


def stock_config(envs: int, runners: int = 0) -> PPOConfig:
    """Return RLlib's simplest configuration for the same network."""
    register_env("stock", lambda _: PettingZooEnv(connect_four.env()))
    settings = PPORunSettings()
    model = {"network": settings.network.model_dump(), "precision": settings.precision}
    config = PPOConfig().environment("stock", disable_env_checking=True)
    config.env_runners(num_env_runners=runners, num_envs_per_env_runner=envs)
    config.multi_agent(policies={"both"}, policy_mapping_fn=lambda *_, **__: "both")
    config.rl_module(rl_module_spec=RLModuleSpec(module_class=ActionMaskingRLModule, model_config=model))
    ppo = settings.ppo
    return config.training(
        # Half a batch, because it is slow; the passes over each sample are the same.
        train_batch_size_per_learner=ppo.batch_size // 2,
        minibatch_size=ppo.minibatch_size,
        num_epochs=ppo.epochs,
        use_kl_loss=False,
    )


def per_second(*work: Callable[[], float], warm_up: int = 2) -> list[float]:
    """Return the units per second of each of ``work``, averaged over many calls so that occasional costs count.

    They take turns, so other load on the machine affects all of them alike.
    """
    for _ in range(warm_up):
        for each in work:
            each()
    done, seconds = [0.0] * len(work), [0.0] * len(work)
    while sum(seconds) < _SECONDS * len(work):
        for index, each in enumerate(work):
            start = time.perf_counter()
            done[index] += each()
            seconds[index] += time.perf_counter() - start
    return [units / spent for units, spent in zip(done, seconds, strict=True)]


def sampling() -> dict[str, float]:
    """Return the env steps per second of one env runner, stock and lockstep, by number of environments."""
    work = {f"stock, {envs} environments": _stock_sampling(envs) for envs in (1, 8, 32)}
    work |= {f"lockstep, {envs} environments": _lockstep_sampling(envs) for envs in (1024, 2048, 4096)}
    return dict(zip(work, per_second(*work.values()), strict=True))


def _stock_sampling(envs: int) -> Callable[[], float]:
    runner = MultiAgentEnvRunner(config=stock_config(envs).env_runners(rollout_fragment_length=32))
    return lambda: sum(map(len, runner.sample()))


def _lockstep_sampling(envs: int) -> Callable[[], float]:
    settings = ppo_settings("rollout.env_runners=0", f"rollout.envs_per_runner={envs}", *SAME_WORK)
    runner = PPOEnvRunner(config=SelfPlayPPOConfig.from_settings(settings))

    def sample() -> float:
        runner.sample()
        return float(settings.ppo.batch_size)

    return sample


def stock_training() -> dict[str, float]:
    """Return the trained samples per second of RLlib's PPO on its stock path, which learns on both cores."""
    found = {}
    torch.set_num_threads(2)
    for runners in (0, 2):
        algorithm = stock_config(32, runners).build_algo()
        batch = algorithm.config.train_batch_size_per_learner

        def train(algorithm: Any = algorithm, batch: int = batch) -> float:
            algorithm.train()
            return float(batch)

        (found[f"{runners} remote env runners"],) = per_second(train, warm_up=1)
        algorithm.stop()
    return found


def league_training() -> dict[str, float]:
    """Return the trained samples per second of the league, on the same work and with default settings."""
    return {
        "same work, overlapping": _trained(*SAME_WORK),
        "default settings": _trained(),
    }


def two_cores() -> dict[str, float]:
    """Return the trained samples per second of every way to use two cores, lookahead included, in both precisions."""
    ways = {
        "one process, two threads": ("rollout.env_runners=0", "threads=2"),
        "overlapping, one thread": ("rollout.env_runners=1", "threads=1"),
        "overlapping, two threads": ("rollout.env_runners=1", "threads=2"),
    }
    return {
        f"{precision}: {way}": _trained(*overrides, f"precision={precision}")
        for precision in ("float32", "bfloat16")
        for way, overrides in ways.items()
    }


def _trained(*overrides: str) -> float:
    algorithm = league(*overrides)
    (speed,) = per_second(_training(algorithm))
    algorithm.stop()
    return speed


def _training(algorithm: SelfPlayPPO) -> Callable[[], float]:
    def train() -> float:
        learned = algorithm.train()["learners"]["main"]
        return float(learned["num_module_steps_trained"]) / int(algorithm.config.num_epochs)

    return train


def bare_training() -> dict[str, float]:
    """Return the trained samples per second of the league in one process and of the bare loop, taking turns."""
    found: dict[str, float] = {}
    for threads in (1, 2):
        algorithm = league(*SAME_WORK, "rollout.env_runners=0", f"threads={threads}")
        rivals = _training(algorithm), BareLoop(ppo_settings(*SAME_WORK)).iterate
        ours, bare = per_second(*rivals)
        algorithm.stop()
        found |= {f"league, {threads} threads": ours, f"bare loop, {threads} threads": bare}
    return found


def opponents(count: int) -> dict[str, float]:
    """Return microseconds per trained sample and peak memory, with half of the games against ``count`` opponents."""
    slots = max(2, count)
    algorithm = league(
        "rollout.env_runners=0",
        "league.opponents=[heuristic:random]",
        f"league.opponent_count={slots}",
        "league.min_games=1000000000",
        "lookahead.share=0",
        "grading.every=0",
    )
    modules = {f"v{slot:04d}": f"opponent_{slot}" for slot in range(count)}
    fixed = Roster(modules, (1 / count,) * count, 0.5, (0,))
    follow = algorithm.env_runner.matchmaker.follow
    algorithm.league.exchange.publish = lambda roster: follow(fixed)  # type: ignore[method-assign]  # noqa: ARG005
    follow(fixed)
    (speed,) = per_second(_training(algorithm))
    return {"microseconds": 1e6 / speed, "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


PARTS: dict[str, Callable[[], dict[str, float]]] = {
    "sampling": sampling,
    "stock training": stock_training,
    "league training": league_training,
    "bare training": bare_training,
    "two cores": two_cores,
    "1 opponent": lambda: opponents(1),
    "15 opponents": lambda: opponents(15),
}


def run_part(name: str) -> None:
    """Measure one part and print it as JSON on the last line."""
    logging.getLogger("ray.rllib").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", message=".*Overriding environment")  # RLlib registers one name again and again
    torch.set_num_threads(1)
    with ray_session(cpus=3):
        print(json.dumps(PARTS[name]()))


def measure(name: str) -> dict[str, float]:
    """Run one part in its own process."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "benchmarks.speed", name]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    if done.returncode:
        sys.exit(f"measuring {name} failed:\n{done.stderr[-4000:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def figures(found: dict[str, dict[str, float]]) -> list[dict[str, Any]]:
    """Return the figures with their required values."""
    bare = found["bare training"]
    best_trained = max(found["league training"]["same work, overlapping"], bare["league, 2 threads"])
    one, many = found["1 opponent"], found["15 opponents"]
    rows = [
        (
            "sampled env steps/s, against RLlib's stock path",
            _best(found["sampling"], "lockstep") / _best(found["sampling"], "stock"),
            ">= 50",
        ),
        (
            "trained samples/s, against RLlib's stock path",
            best_trained / max(found["stock training"].values()),
            ">= 10",
        ),
        (
            "trained samples/s, against the bare loop, 2 threads",
            bare["league, 2 threads"] / bare["bare loop, 2 threads"],
            ">= 0.85",
        ),
        ("the same, 1 thread", bare["league, 1 threads"] / bare["bare loop, 1 threads"], ">= 0.85"),
        ("time per sample, 15 opponents against 1", many["microseconds"] / one["microseconds"], "<= 1.3"),
        ("peak memory, 15 opponents against 1", many["megabytes"] / one["megabytes"], "<= 1.5"),
    ]
    return [{"figure": name, "ratio": round(ratio, 3), "required": required} for name, ratio, required in rows]


def _best(measured: dict[str, float], kind: str) -> float:
    return max(speed for name, speed in measured.items() if name.startswith(kind))


def main() -> None:
    """Measure everything, print the table and write the results."""
    console = Console()
    found = {}
    for name in PARTS:
        console.print(f"measuring {name} ...", highlight=False)
        found[name] = measure(name)
    rows = figures(found)
    table = Table("figure", "ratio", "required", title="speed")
    for row in rows:
        table.add_row(row["figure"], f"{row['ratio']:.2f}", row["required"])
    console.print(table)
    detail = Table("measured", "of", "value")
    for name, values in found.items():
        for what, value in values.items():
            detail.add_row(name, what, f"{value:,.1f}" if value < 1000 else f"{value:,.0f}")
    console.print(detail)
    machine = {
        "cores": os.cpu_count(),
        "platform": platform.platform(),
        "numpy": np.__version__,
        "torch": torch.__version__,
        "bfloat16": multiplies_bfloat16("cpu"),
    }
    RESULTS.write_text(json.dumps({"machine": machine, "figures": rows, "measured": found}, indent=1) + "\n")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        run_part(sys.argv[1])
    else:
        main()
