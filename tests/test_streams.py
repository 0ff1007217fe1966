"""Random streams of env runners."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
import ray

from tests.leagues import LOCKSTEP, Build, on_runners

pytestmark = pytest.mark.usefixtures("ray_session")


def draws(env_runner: Any) -> list[int]:
    """Return what an env runner's generators would draw next, those of its modules included."""
    import torch

    heuristic = env_runner.module["heuristic_random"].rng
    return [
        int(np.random.default_rng(env_runner.stream).integers(2**62)),
        int(env_runner.matchmaker._rng.integers(2**62)),
        int(heuristic.integers(2**62)),
        int(torch.randint(2**62, ())),
        int(np.random.randint(2**31)),  # noqa: NPY002  # environments may use it
    ]


def process_id(env_runner: Any) -> int:
    """Return the process that an env runner lives in."""
    import os

    return os.getpid()


@pytest.mark.parametrize(
    "runner",
    [
        pytest.param(LOCKSTEP, id="lockstep"),
        pytest.param(("rollout.env_runner=stock",), id="stock", marks=pytest.mark.slow),
    ],
)
def test_no_two_streams_are_the_same(build: Build, runner: tuple[str, ...]) -> None:
    """Of two runners, and of one before and after its restart; the same seed repeats the first two."""
    algorithm = build(*runner, "rollout.env_runners=2", "rollout.mirror_share=0.5")
    first = on_runners(algorithm, draws)
    pids = set(on_runners(algorithm, process_id))
    for actor in algorithm.env_runner_group._worker_manager.actors().values():
        ray.kill(actor, no_restart=False)
    while len(set(on_runners(algorithm, process_id)) - pids) < 2:
        algorithm.train()
    restarted = on_runners(algorithm, draws)
    for one, other in combinations([*first, *restarted], 2):
        assert all(mine != its for mine, its in zip(one, other, strict=True))
