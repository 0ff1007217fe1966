"""Random streams: every env runner has its own, and a new one after each restart."""

from __future__ import annotations

import random
import secrets

import numpy as np
import ray
import torch
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig

Stream = tuple[int, ...]
"""Seeds of one stream, as ``numpy.random.default_rng`` takes them."""


def runner_stream(config: AlgorithmConfig, worker_index: int) -> Stream:
    """Return the stream of an env runner; without a seed in ``config``, it differs from run to run.

    RLlib seeds env runner i with ``seed + i``, so runner 2 of one trial plays like runner 1 of the next one, and a
    restarted runner repeats the games that it played first.
    """
    seed = secrets.randbits(31) if config.seed is None else int(config.seed)
    restarted = worker_index > 0 and ray.get_runtime_context().was_current_actor_reconstructed
    again = (secrets.randbits(31),) if restarted else ()
    return (seed, int(config.in_evaluation), worker_index, *again)


def seed_everything(stream: Stream) -> None:
    """Seed the global generators of Python, NumPy and Torch."""
    words = np.random.SeedSequence(stream).generate_state(3)
    random.seed(int(words[0]))
    np.random.seed(words[1])  # noqa: NPY002  # RLlib and environments may use it
    torch.manual_seed(int(words[2]))
