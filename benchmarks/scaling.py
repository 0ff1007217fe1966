"""Projects how sampling scales to many env runners, from what one costs: ``python -m benchmarks.scaling``.

No cluster is at hand, so this measures the parts on one machine, each alone in its own process:

    env runner   env steps per second, samples per env step, bytes per sample on the wire
    learner      seconds per sample: receiving it, and all gradient steps on it
    weights      bytes that each env runner fetches for each of its rollouts

N env runners sample N times as much as one, until the learner or its link to the network has no time left. The
bandwidth is an assumption. What can be measured here, one and two env runners on two cores and one with the learner
beside it, is compared with the projection. It writes ``benchmarks/scaling.json`` and ``docs/scaling.png``.
``python -m benchmarks.scaling 2`` measures everything for two seconds, for a try.
"""

from __future__ import annotations

import json
import logging
import math
import os
import pickle
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import ray
import torch
from matplotlib.figure import Figure
from ray.rllib.policy.sample_batch import MultiAgentBatch, SampleBatch
from ray.rllib.utils.metrics import NUM_ENV_STEPS_SAMPLED_LIFETIME
from rich.console import Console
from rich.table import Table

from connectfour.apex.learner import WEIGHTS
from connectfour.cluster.session import ray_session
from connectfour.league.members import MAIN
from connectfour.learning.league_config import LeagueConfig
from connectfour.settings.reading import load_settings
from connectfour.system.names import load_name

RESULTS = Path(__file__).parent / "scaling.json"
PICTURE = Path(__file__).parent.parent / "docs" / "scaling.png"

GIGABITS = 10.0
"""Assumed bandwidth of the learner's link, each way, in Gbit/s."""
RUNNERS = tuple(2**power for power in range(1, 9))
LEARNERS = ("ppo", "apex")
_SECONDS = 20.0


@dataclass(frozen=True)
class Costs:
    """What was measured of one learner.

    Attributes:
        env_steps: env steps per second of one env runner alone.
        samples: samples per env step that the learner learns from.
        sample_bytes: bytes of a sample on the wire.
        rollout: env steps between two times that an env runner fetches weights.
        weight_bytes: bytes of these weights.
        receive_seconds: seconds that the learner's process takes to receive a sample.
        learn_seconds: seconds that the learner takes to learn from a sample, all passes over it included.
    """

    env_steps: float
    samples: float
    sample_bytes: float
    rollout: float
    weight_bytes: float
    receive_seconds: float
    learn_seconds: float

    @property
    def learner_limit(self) -> float:
        """Env steps per second that the learner keeps up with."""
        return 1 / (self.samples * (self.receive_seconds + self.learn_seconds))

    def network_limit(self, gigabits: float = GIGABITS) -> float:
        """Return the env steps per second at which samples fill the learner's link one way, or weights the other."""
        bytes_per_second = gigabits * 1e9 / 8
        return bytes_per_second / max(self.samples * self.sample_bytes, self.weight_bytes / self.rollout)

    @property
    def saturated_by(self) -> int:
        """How many env runners keep the learner, or its link, busy all the time."""
        return math.ceil(min(self.learner_limit, self.network_limit()) / self.env_steps)

    def project(self, runners: int) -> dict[str, Any]:
        """Return what ``runners`` env runners can sample per second, what is used of it, and what limits it."""
        limits = {
            "env runners": runners * self.env_steps,
            "learner": self.learner_limit,
            "network": self.network_limit(),
        }
        limit = min(limits, key=lambda name: limits[name])
        return {"runners": runners, "sampled": limits["env runners"], "used": limits[limit], "limit": limit}


def per_second(work: Callable[[], float], seconds: float) -> float:
    """Return the units per second of ``work``, which returns how many it did."""
    work()
    done, start = 0.0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds:
        done += work()
    return done / elapsed


def config_of(learner: str, *overrides: str) -> LeagueConfig:
    """Return the configuration of a run with default settings."""
    settings = load_settings(None, [f"algorithm={learner}", "stop.minutes=null", "grading.every=0", *overrides])
    kind: type[LeagueConfig] = load_name(settings.configuration)
    return kind.from_settings(settings)


def env_steps_of(config: LeagueConfig) -> int:
    """Return the env steps of one rollout of the only env runner."""
    envs = config.num_envs_per_env_runner
    return int(envs * max(1, config.get_rollout_fragment_length(1)))


def costs(learner: str, seconds: float) -> dict[str, float]:
    """Measure everything about a learner, one after the other."""
    config = config_of(learner)
    runner: Any = config.lockstep_runner(config=config)
    sample, steps = runner.sample, env_steps_of(config)
    samples = sample()
    counts: list[int] = []

    def roll_out() -> float:
        counts.append(len(sample()))
        return float(steps)

    env_steps = per_second(roll_out, seconds)
    written = pickle.dumps(samples, protocol=5)
    weights = runner.module[MAIN].get_state(inference_only=True)
    reuse = config.apex.replay_ratio if learner == "apex" else 1.0
    return asdict(
        Costs(
            env_steps=env_steps,
            samples=float(np.mean(counts)) / steps * reuse,
            sample_bytes=len(written) / len(samples),
            rollout=steps,
            weight_bytes=len(pickle.dumps(weights, protocol=5)),
            receive_seconds=1 / per_second(lambda: len(pickle.loads(written)), seconds / 4),  # noqa: S301  # our own
            learn_seconds=1 / per_second(learning(learner, config, samples), seconds),
        )
    )


def learning(learner: str, config: LeagueConfig, samples: Any) -> Callable[[], float]:
    """Return what learns from a batch of ``samples``, and returns how many these are."""
    group = config.build_learner_group(rl_module_spec=config.rl_module_spec)
    steps = {NUM_ENV_STEPS_SAMPLED_LIFETIME: 0}
    group.foreach_learner(lambda each: setattr(each, "share_done", 0.0))
    if learner == "ppo":
        batch, epochs = samples.standardized().to_batch(), config.num_epochs
        count = epochs * max(1, len(samples) // config.minibatch_size)
        learn = partial(group.update, timesteps=steps, num_epochs=epochs, minibatch_size=config.minibatch_size)
        return lambda: [len(samples), learn(batch=batch, num_total_minibatches=count)][0]
    size, updates = config.apex.batch_size * config.apex.updates_per_iteration, config.apex.updates_per_iteration
    rows = np.resize(np.arange(len(samples)), size)
    columns = {name: array[rows] for name, array in samples.columns.items()} | {WEIGHTS: np.ones(size, np.float32)}
    drawn = MultiAgentBatch({MAIN: SampleBatch(columns)}, env_steps=size)

    def learn_from_replay() -> float:
        group.update(batch=drawn, timesteps=steps, num_total_minibatches=updates)
        group.foreach_learner(lambda each: each.take_td_errors())
        return float(size)

    return learn_from_replay


def sampling(learner: str, runners: int, seconds: float) -> float:
    """Return the env steps per second of ``runners`` env runners that send what they sample to this process."""
    config = config_of(learner)
    kind = ray.remote(num_cpus=1)(config.lockstep_runner)
    actors = [kind.remote(config=config, worker_index=1, num_workers=1) for _ in range(runners)]
    waiting = {actor.sample.remote(): actor for actor in actors}

    def receive() -> float:
        (ready,), _ = ray.wait(list(waiting))
        actor = waiting.pop(ready)
        waiting[actor.sample.remote()] = actor
        ray.get(ready)
        return float(env_steps_of(config))

    for _ in range(2 * runners):
        receive()
    return per_second(receive, seconds)


def training(learner: str, seconds: float) -> float:
    """Return the env steps per second of a run with one env runner beside the learner."""
    with TemporaryDirectory() as folder:
        algorithm: Any = config_of(learner).league(folder=folder).build_algo()
        for _ in range(5):
            algorithm.train()
        before, start = algorithm.env_steps, time.perf_counter()
        while (elapsed := time.perf_counter() - start) < seconds:
            algorithm.train()
        found = (algorithm.env_steps - before) / elapsed
        algorithm.stop()
    return float(found)


def parts(seconds: float) -> dict[str, Callable[[], Any]]:
    """Return what is measured, each part in its own process, by its name."""
    found: dict[str, Callable[[], Any]] = {}
    for learner in LEARNERS:
        found[f"{learner}: costs"] = partial(costs, learner, seconds)
        found[f"{learner}: 1 env runner"] = partial(sampling, learner, 1, seconds)
        found[f"{learner}: 2 env runners"] = partial(sampling, learner, 2, seconds)
        found[f"{learner}: 1 env runner and the learner"] = partial(training, learner, seconds)
    return found


def run_part(name: str, seconds: float) -> None:
    """Measure one part, and print it as JSON on the last line."""
    logging.getLogger("ray.rllib").setLevel(logging.ERROR)
    torch.set_num_threads(1)
    with ray_session(cpus=3):
        print(json.dumps(parts(seconds)[name]()))


def measure(name: str, seconds: float) -> Any:
    """Run one part in its own process."""
    command = [sys.executable, "-m", "benchmarks.scaling", str(seconds), name]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    if done.returncode:
        sys.exit(f"measuring {name} failed:\n{done.stderr[-4000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def checks(found: Mapping[str, Any], learner: str) -> list[dict[str, Any]]:
    """Return what was measured beside what is projected for it."""
    cost = Costs(**found[f"{learner}: costs"])
    both = min(cost.env_steps, cost.learner_limit)
    projected = {"1 env runner": cost.env_steps, "2 env runners": 2 * cost.env_steps}
    projected["1 env runner and the learner"] = both
    return [
        {"what": what, "projected": value, "measured": found[f"{learner}: {what}"]} for what, value in projected.items()
    ]


def draw(found: Mapping[str, Any], picture: Path) -> None:
    """Draw the projection of each learner, with its limits and what was measured."""
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    axes = figure.subplots(1, len(LEARNERS), sharey=True)
    numbers = [1, *RUNNERS]
    for axis, learner in zip(axes, LEARNERS, strict=True):
        cost = Costs(**found[f"{learner}: costs"])
        rows = [cost.project(number) for number in numbers]
        axis.loglog(numbers, [row["sampled"] for row in rows], "--", color="#009e73", label="env runners alone")
        axis.axhline(cost.learner_limit, color="#0072b2", linestyle=":", label="learner, on one core")
        axis.axhline(cost.network_limit(), color="#cc79a7", linestyle=":", label=f"network, {GIGABITS:g} Gbit/s")
        axis.loglog(numbers, [row["used"] for row in rows], color="#d55e00", linewidth=2.5, label="projected")
        measured = [found[f"{learner}: 1 env runner"], found[f"{learner}: 2 env runners"]]
        axis.plot([1, 2], measured, "ko", label="measured, without learner")
        axis.set_xscale("log", base=2)
        axis.set(title={"ppo": "PPO", "apex": "Ape-X"}[learner], xlabel="env runners", xticks=numbers)
        axis.set_xticklabels([str(number) for number in numbers])
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("env steps per second")
    axes[-1].legend(loc="upper left", bbox_to_anchor=(0, 0.9), frameon=False)
    figure.savefig(picture, dpi=110)


def main(seconds: float) -> None:
    """Measure everything, print tables, and write results and picture."""
    console, found = Console(), {}
    for name in parts(seconds):
        console.print(f"measuring {name} ...", highlight=False)
        found[name] = measure(name, seconds)
    report: dict[str, Any] = {
        "machine": {"cores": os.cpu_count(), "platform": platform.platform(), "torch": torch.__version__},
        "assumed": {"gigabits_per_second": GIGABITS},
        "measured": found,
    }
    for learner in LEARNERS:
        cost = Costs(**found[f"{learner}: costs"])
        rows, checked = [cost.project(number) for number in RUNNERS], checks(found, learner)
        report[learner] = {
            "learner_limit": cost.learner_limit,
            "network_limit": cost.network_limit(),
            "saturated_by": cost.saturated_by,
            "projection": rows,
            "checks": checked,
        }
        table = Table("env runners", "sampled/s", "used/s", "limited by", title=learner)
        for row in rows:
            table.add_row(str(row["runners"]), f"{row['sampled']:,.0f}", f"{row['used']:,.0f}", row["limit"])
        console.print(table)
        console.print(f"{cost.saturated_by} env runners saturate the {learner} learner", highlight=False)
        for row in checked:
            ratio = row["measured"] / row["projected"]
            console.print(
                f"{row['what']}: projected {row['projected']:,.0f}, measured {row['measured']:,.0f} ({ratio:.0%})",
                highlight=False,
            )
    RESULTS.write_text(json.dumps(report, indent=1) + "\n")
    draw(found, PICTURE)


if __name__ == "__main__":
    chosen = float(sys.argv[1]) if len(sys.argv) > 1 else _SECONDS
    if len(sys.argv) > 2:
        run_part(sys.argv[2], chosen)
    else:
        main(chosen)
