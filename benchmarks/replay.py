"""Throughput of one replay shard on one core, in transitions per second: ``python -m benchmarks.replay``.

The rival is RLlib's ``PrioritizedReplayBuffer`` in the same process, with the same transitions.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import ray
from ray.rllib.policy.sample_batch import SampleBatch
from ray.rllib.utils.replay_buffers.prioritized_replay_buffer import PrioritizedReplayBuffer
from rich.console import Console
from rich.table import Table

from connectfour.apex.replay.shard import Fields, ReplayShard
from connectfour.cluster.session import ray_session

RESULTS = Path(__file__).parent / "replay.json"

_CAPACITY = 2**20
_ADDED, _SAMPLED = 16_384, 32_768
_OF_RIVAL = 1024
_SECONDS = 3.0
_ALPHA, _BETA = 0.6, 0.4


def transitions(count: int) -> Fields:
    """Return transitions as they are in Connect Four: two packed positions, action, return and discount."""
    rng = np.random.default_rng(0)
    positions = rng.integers(2**49, size=(2, count, 2)).astype(np.uint64)
    return {
        "packed": positions[0],
        "next.packed": positions[1],
        "action": rng.integers(7, size=count).astype(np.int8),
        "return": np.zeros(count, np.float32),
        "discount": np.full(count, -0.999, np.float32),
    }


def per_second(work: Callable[[], Any], count: int) -> float:
    """Return the transitions per second of ``work``, which handles ``count`` at once."""
    work()
    done, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < _SECONDS:
        work()
        done += count
    return done / elapsed


def in_process() -> dict[str, float]:
    """Measure a full shard without Ray."""
    shard, rng = ReplayShard(_CAPACITY, _ALPHA), np.random.default_rng(1)
    batch, errors = transitions(_ADDED), rng.random(_ADDED)
    while len(shard) < _CAPACITY:
        shard.add(batch, errors)
    found = {"added": per_second(lambda: shard.add(batch, errors), _ADDED)}
    found["sampled"] = per_second(lambda: shard.sample(_SAMPLED), _SAMPLED)
    sampled = shard.sample(_SAMPLED)
    assert sampled is not None  # noqa: S101  # for the type checker
    ids, errors = sampled.ids, rng.random(_SAMPLED)
    found["reprioritized"] = per_second(lambda: shard.update_priorities(ids, errors), _SAMPLED)
    return found


def on_ray() -> dict[str, float]:
    """Measure a full shard in a Ray actor, with the transport."""
    shard: Any = ray.remote(num_cpus=0)(ReplayShard).remote(_CAPACITY, _ALPHA)
    batch, errors = transitions(_ADDED), np.random.default_rng(1).random(_ADDED)
    for _ in range(_CAPACITY // _ADDED):
        ray.get(shard.add.remote(batch, errors))
    return {
        "added": per_second(lambda: ray.get(shard.add.remote(batch, errors)), _ADDED),
        "sampled": per_second(lambda: ray.get(shard.sample.remote(_SAMPLED)), _SAMPLED),
    }


def rival() -> dict[str, float]:
    """Measure RLlib's buffer, in smaller batches because it is slow."""
    buffer = PrioritizedReplayBuffer(capacity=_CAPACITY, storage_unit="timesteps", alpha=_ALPHA)
    batch = SampleBatch(transitions(_OF_RIVAL))
    found = {"added": per_second(lambda: buffer.add(batch), _OF_RIVAL)}
    found["sampled"] = per_second(lambda: buffer.sample(_OF_RIVAL, beta=_BETA), _OF_RIVAL)
    indices = buffer.sample(_OF_RIVAL, beta=_BETA)["batch_indexes"]
    errors = np.random.default_rng(1).random(_OF_RIVAL) + 0.1
    found["reprioritized"] = per_second(lambda: buffer.update_priorities(indices, errors), _OF_RIVAL)
    return found


def main() -> None:
    """Measure, print a table and write the results."""
    shard, rllib = in_process(), rival()
    with ray_session(cpus=2):
        remote = on_ray()
    required = {"added": 200_000, "sampled": 100_000}
    table = Table("transitions per second", "shard", "shard on Ray", "required", "RLlib's buffer", "ratio")
    for name, speed in shard.items():
        over_ray = f"{remote[name]:,.0f}" if name in remote else ""
        least = f"{required[name]:,}" if name in required else ""
        table.add_row(name, f"{speed:,.0f}", over_ray, least, f"{rllib[name]:,.0f}", f"{speed / rllib[name]:,.0f}")
    Console().print(table)
    RESULTS.write_text(json.dumps({"shard": shard, "shard on Ray": remote, "RLlib": rllib}, indent=1) + "\n")


if __name__ == "__main__":
    main()
