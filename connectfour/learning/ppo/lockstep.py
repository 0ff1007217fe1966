"""One iteration with lockstep env runners: sample columns, learn from them, send main's weights back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray
from ray.rllib.policy.sample_batch import MultiAgentBatch
from ray.rllib.utils.metrics import (
    ENV_RUNNER_RESULTS,
    ENV_RUNNER_SAMPLING_TIMER,
    LEARNER_RESULTS,
    LEARNER_UPDATE_TIMER,
    NUM_ENV_STEPS_SAMPLED_LIFETIME,
    SYNCH_WORKER_WEIGHTS_TIMER,
    TIMERS,
)

from connectfour.league.members import MAIN
from connectfour.learning.env_runner import SelfPlayEnvRunner
from connectfour.learning.rollout import train_batch

if TYPE_CHECKING:
    from connectfour.learning.ppo.algorithm import SelfPlayPPO

Sample = tuple[dict[str, NDArray[Any]], Any]

_TAG = "sampling"


class LockstepLoop:
    """Drives the env runners and learners of an algorithm.

    With ``rollout.overlap`` and remote env runners, these sample the next batch while the learners learn from the last:
    main's weights that sampled a batch are then one update old, which PPO's probability ratio accounts for.
    """

    def __init__(self, algorithm: SelfPlayPPO) -> None:
        """Drive ``algorithm``."""
        self._algorithm = algorithm

    def step(self) -> None:
        """Sample a batch, learn from it, and bring the env runners' main up to date."""
        metrics = self._algorithm.metrics
        with metrics.log_time((TIMERS, ENV_RUNNER_SAMPLING_TIMER)):
            sampled = self._sample()
        if not sampled:
            return
        metrics.aggregate([measured for _, measured in sampled], key=ENV_RUNNER_RESULTS)
        if self._overlaps:
            self._push_main()
            self._start_sampling()
        with metrics.log_time((TIMERS, LEARNER_UPDATE_TIMER)):
            self._learn(train_batch([columns for columns, _ in sampled]))
        if not self._overlaps:
            self._push_main()

    def discard_samples(self) -> None:
        """Wait for what is being sampled, and forget it: it was begun with weights that no longer count."""
        self._algorithm.env_runner_group.fetch_ready_async_reqs(tags=_TAG, timeout_seconds=None)

    @property
    def _overlaps(self) -> bool:
        remote: int = self._algorithm.env_runner_group.num_remote_env_runners()
        return self._algorithm.settings.rollout.overlap and remote > 0

    def _start_sampling(self) -> None:
        self._algorithm.env_runner_group.foreach_env_runner_async(_sample_and_measure, tag=_TAG)

    def _sample(self) -> list[Sample]:
        """Return the batch of each env runner with its metrics."""
        group = self._algorithm.env_runner_group
        if not self._overlaps:
            local = group.num_remote_env_runners() == 0
            return list(group.foreach_env_runner(_sample_and_measure, local_env_runner=local))
        if not group.num_in_flight_async_reqs(_TAG):
            self._start_sampling()
        return [sample for _, sample in group.fetch_ready_async_reqs(tags=_TAG, timeout_seconds=None)]

    def _learn(self, batch: MultiAgentBatch) -> None:
        algorithm, config = self._algorithm, self._algorithm.config
        share = len(batch[MAIN]) // max(1, config.num_learners)
        results = algorithm.learner_group.update(
            batch=batch,
            timesteps={NUM_ENV_STEPS_SAMPLED_LIFETIME: algorithm.env_steps},
            num_epochs=config.num_epochs,
            minibatch_size=config.minibatch_size,
            # Learners wait for one another at each minibatch: all must have as many, whoever got the odd sample.
            num_total_minibatches=config.num_epochs * max(1, share // config.minibatch_size),
        )
        algorithm.metrics.aggregate(results, key=LEARNER_RESULTS)

    def _push_main(self) -> None:
        algorithm = self._algorithm
        with algorithm.metrics.log_time((TIMERS, SYNCH_WORKER_WEIGHTS_TIMER)):
            algorithm.env_runner_group.sync_weights(
                from_worker_or_learner_group=algorithm.learner_group, policies=[MAIN], inference_only=True
            )


def _sample_and_measure(env_runner: SelfPlayEnvRunner) -> Sample:
    return env_runner.sample(), env_runner.get_metrics()
