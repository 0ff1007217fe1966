"""Batches from the lockstep env runners, sampled either between learning steps or in parallel with them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ray.rllib.env.env_runner_group import EnvRunnerGroup
from typing_extensions import override

from connectfour.learning.env_runner import SelfPlayEnvRunner
from connectfour.rllib.parts import Part

_TAG = "sampling"


class LockstepSampler(Part):
    """Collects a batch from each env runner of a group."""

    name = "sampler"

    def __init__(self, group: Callable[[], EnvRunnerGroup], *, overlap: bool) -> None:
        """Sample with the group that ``group`` returns once it is built; overlapping needs remote env runners."""
        self._group = group
        self._overlap = overlap

    @property
    def overlaps(self) -> bool:
        """Whether remote env runners sample the next batch while the learner learns from the previous one.

        The weights that sampled a batch are then one update old.
        """
        return self._overlap and self._group().num_remote_env_runners() > 0

    def start(self) -> None:
        """Let the remote env runners begin the next batch."""
        self._group().foreach_env_runner_async(_sample_and_measure, tag=_TAG)

    def collect(self) -> list[tuple[Any, Any]]:
        """Return the samples of each env runner with its metrics; wait for them if necessary."""
        if not self.overlaps:
            group = self._group()
            local = group.num_remote_env_runners() == 0
            return list(group.foreach_env_runner(_sample_and_measure, local_env_runner=local))
        if not self._group().num_in_flight_async_reqs(_TAG):
            self.start()
        return [sampled for _, sampled in self._group().fetch_ready_async_reqs(tags=_TAG, timeout_seconds=None)]

    @override
    def before_restore(self, folder: Path) -> None:
        """Wait for the batch under way and drop it, and let env runners start new games: other weights played them."""
        group = self._group()
        group.fetch_ready_async_reqs(tags=_TAG, timeout_seconds=None)
        local = group.num_remote_env_runners() == 0
        group.foreach_env_runner(lambda env_runner: env_runner.restart_games(), local_env_runner=local)


def _sample_and_measure(env_runner: SelfPlayEnvRunner) -> tuple[Any, Any]:
    return env_runner.sample(), env_runner.get_metrics()
