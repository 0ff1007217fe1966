"""Batches from the lockstep env runners, sampled either between learning steps or in parallel with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ray.rllib.env.env_runner_group import EnvRunnerGroup
from typing_extensions import override

from connectfour.learning.env_runner import SelfPlayEnvRunner
from connectfour.rllib.part import Part
from connectfour.rllib.patience import Patience
from connectfour.rllib.runners import Runners

_TAG = "sampling"
_SECONDS_PER_LOOK = 0.5


class LockstepSampler(Part):
    """Collects a batch from each env runner of a group.

    Attributes:
        runners: the remote env runners.
    """

    name = "sampler"

    def __init__(
        self,
        group: Callable[[], EnvRunnerGroup],
        *,
        overlap: bool,
        patience: Patience,
        say: Callable[[str], None],
    ) -> None:
        """Sample with the group that ``group`` returns once it is built; overlapping needs remote env runners."""
        self._group = group
        self._overlap = overlap
        self._patience = patience
        self.runners = Runners(group, _TAG, patience=patience.seconds, say=say)

    @property
    def overlaps(self) -> bool:
        """Whether remote env runners sample the next batch while the learner learns from the previous one.

        The weights that sampled a batch are then one update old.
        """
        return self._overlap and self._group().num_remote_env_runners() > 0

    def start(self) -> None:
        """Let the remote env runners begin the next batch."""
        for index in self.runners.ready:
            self.runners.call(index, _sample_and_measure)

    def collect(self) -> list[tuple[Any, Any]]:
        """Return the samples of each env runner with its metrics; wait for them if necessary.

        Env runners that failed are left out, so there may be none.

        Raises:
            NoProgressError: none of them has answered for too long.
        """
        group = self._group()
        if not group.num_remote_env_runners():
            return list(group.foreach_env_runner(_sample_and_measure, local_env_runner=True))
        if not self.runners.is_waited_for:
            self.start()
        sampled: list[tuple[Any, Any]] = []
        while self.runners.is_waited_for:
            answers = self.runners.answers(_SECONDS_PER_LOOK)
            if answers:
                self._patience.progressed()
                sampled += [answer for _, answer in answers]
            else:
                self._patience.check(self.runners.trouble)
        return sampled

    @override
    def before_restore(self, folder: Path) -> None:
        """Wait for the batch under way and drop it, and let env runners start new games: other weights played them."""
        self.runners.finish()
        group = self._group()
        local = group.num_remote_env_runners() == 0
        group.foreach_env_runner(lambda env_runner: env_runner.restart_games(), local_env_runner=local)

    @override
    def revived(self, indices: Sequence[int]) -> None:
        """Forget what env runners that were restarted have sampled."""
        self.runners.back_in_service(indices)

    @override
    def stopping(self) -> None:
        """End the env runners that no longer answer."""
        self.runners.end()


def _sample_and_measure(env_runner: SelfPlayEnvRunner[Any]) -> tuple[Any, Any]:
    return env_runner.sample(), env_runner.get_metrics()
