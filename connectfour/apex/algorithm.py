"""``Apex``: acting, replaying and learning at the same time."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import ray
from ray.rllib.algorithms.algorithm import Algorithm
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.policy.sample_batch import MultiAgentBatch, SampleBatch
from ray.rllib.utils.metrics import (
    ENV_RUNNER_RESULTS,
    EPISODE_RETURN_MEAN,
    LEARNER_RESULTS,
    LEARNER_UPDATE_TIMER,
    NUM_ENV_STEPS_SAMPLED_LIFETIME,
    REPLAY_BUFFER_RESULTS,
    SYNCH_WORKER_WEIGHTS_TIMER,
    TIMERS,
)
from typing_extensions import override

from connectfour.apex.actor import Order, Report
from connectfour.apex.balance import Balance
from connectfour.apex.learner import WEIGHTS, ApexLearner
from connectfour.apex.options import ApexOptions
from connectfour.apex.replay.replay import Batch, Replay
from connectfour.apex.spans import Spans
from connectfour.apex.timeline import Timeline

_TAG = "act"
_PATIENCE_S = 0.05
_REPLAY_FOLDER = "replay"
_EPISODES_IN_MEAN = 20

WAITING_SHARES = "waiting"
"""Key in the result: the share of its time that each process waits."""


class ApexConfig(ApexOptions):
    """Configuration of ``Apex``.

    >>> config = ApexConfig().environment("CartPole-v1").env_runners(num_env_runners=2, num_envs_per_env_runner=8)

    Gymnasium environments with vector observations and discrete actions need nothing else. For others, set an
    ``Actor`` (``env_runners(env_runner_cls=...)``) and an RLModule that has a ``q_values`` method.
    """

    def __init__(self, algo_class: type | None = None) -> None:
        """Start with the defaults, which suit small control problems."""
        super().__init__(algo_class=algo_class or Apex)


class Apex(Algorithm):  # type: ignore[misc]  # Ray's classes are untyped here
    """Double Q-learning with distributed prioritized replay and actors that run alongside the learner.

    In the result, ``env_runners/episode_return_mean`` is the mean over the latest 20 episodes in nearly greedy
    environments, ``replay_buffer`` describes the replay, and ``waiting`` gives the share of its time that each process
    waits.

    Attributes:
        replay: the shards.
        timeline: what learner, actors and shards do at the same time.
        updates: gradient steps taken by this object.
    """

    @classmethod
    @override
    def get_default_config(cls) -> AlgorithmConfig:
        """Return the default configuration."""
        return ApexConfig()

    @override
    def setup(self, config: AlgorithmConfig) -> None:
        """Start the replay's shards, then what every algorithm has."""
        given = self.config
        self.timeline = Timeline()
        self._spans = Spans()
        self._balance = Balance(given.replay_ratio, given.learning_starts, given.batch_size * given.updates_per_step)
        self.updates = self._version = self._lost = self._held = 0
        self._returns: deque[float] = deque(maxlen=_EPISODES_IN_MEAN)
        self._weights: ray.ObjectRef | None = None
        self.replay = Replay(
            shards=given.replay_shards,
            capacity=given.replay_capacity,
            alpha=given.priority_alpha,
            seed=given.seed or 0,
        )
        super().setup(config)

    @property
    def env_steps(self) -> int:
        """Env steps sampled since training began."""
        return int(self.metrics.peek((ENV_RUNNER_RESULTS, NUM_ENV_STEPS_SAMPLED_LIFETIME), default=0))

    @property
    def share_done(self) -> float:
        """The share of the schedules that is done, in [0, 1]."""
        return min(1.0, self.env_steps / int(self.config.anneal_env_steps))

    def order_extra(self) -> Any:
        """Return what orders to actors hold in addition."""
        return None

    def take_report(self, report: Report) -> None:
        """Take what an actor reports in addition."""

    @override
    def training_step(self) -> None:
        """Take ``updates_per_step`` gradient steps on one batch from the replay while the actors keep acting."""
        if self._weights is None:
            self._broadcast()
        batch = self._next_batch()
        if batch is not None:
            self._learn(batch)
            self._broadcast()
        self._log()

    def _next_batch(self) -> Batch | None:
        """Return the batch that was fetched ahead and request the next one; None while the replay fills."""
        self._direct_actors(wait=False)
        with self._spans.measure("wait for actors"):
            while not self._balance.may_learn():
                if not self._direct_actors(wait=True):
                    return None
        if not self.replay.is_requested:
            self._request()
        with self._spans.measure("wait for replay"):
            batch = self.replay.collect()
        if batch is None:
            # Every shard has died: learning goes on when the new ones have filled.
            self._balance.restart()
            self._held = 0
        else:
            self._balance.used += len(batch)
            self._held = batch.held
            for number, spans in batch.spans:
                self.timeline.add(f"shard {number}", spans)
            self._request()
        return batch

    def _request(self) -> None:
        beta = self.config.importance_beta
        self.replay.request(self._balance.batch, beta + (1 - beta) * self.share_done)

    def _direct_actors(self, *, wait: bool) -> bool:
        """Collect reports and give new orders; return whether there is anything to wait for."""
        group = self.env_runner_group
        reports = group.fetch_ready_async_reqs(tags=_TAG, timeout_seconds=_PATIENCE_S if wait else 0.0)
        for actor, report in reports:
            self._balance.arrived += report.transitions
            self._lost += report.lost
            self.timeline.add(f"actor {actor}", report.spans)
            self.metrics.aggregate([report.metrics], key=ENV_RUNNER_RESULTS)
            self._returns.extend(report.returns)
            self.take_report(report)
        order = Order(tuple(self.replay.shards), self._weights, self._version, self.order_extra())
        while self._balance.may_act(group.num_in_flight_async_reqs(_TAG) * self._order_size):
            if not group.foreach_env_runner_async(lambda actor: actor.act(order), tag=_TAG):
                break
        return bool(group.num_in_flight_async_reqs(_TAG))

    @property
    def _order_size(self) -> int:
        """Transitions that an actor makes by one order."""
        return int(self.config.num_envs_per_env_runner * self.config.get_rollout_fragment_length(1))

    def _learn(self, batch: Batch) -> None:
        share_done = self.share_done

        def advance(learner: ApexLearner) -> None:
            learner.share_done = share_done

        columns = {**batch.columns, WEIGHTS: batch.weights}
        with self._spans.measure("learn"), self.metrics.log_time((TIMERS, LEARNER_UPDATE_TIMER)):
            self.learner_group.foreach_learner(advance)
            results = self.learner_group.update(
                batch=MultiAgentBatch({self.config.learned_module: SampleBatch(columns)}, env_steps=len(batch)),
                timesteps={NUM_ENV_STEPS_SAMPLED_LIFETIME: self.env_steps},
                num_total_minibatches=self.config.updates_per_step,
            )
            errors = [each.get() for each in self.learner_group.foreach_learner(lambda each: each.take_td_errors())]
        self.updates += self.config.updates_per_step
        self.metrics.aggregate(results, key=LEARNER_RESULTS)
        self.replay.update_priorities(batch, np.concatenate(errors))

    def _broadcast(self) -> None:
        """Put the weights where the actors' next orders find them."""
        with self._spans.measure("broadcast"), self.metrics.log_time((TIMERS, SYNCH_WORKER_WEIGHTS_TIMER)):
            self._weights = ray.put(self.learner_group.get_weights([self.config.learned_module]))
            self._version += 1

    def _log(self) -> None:
        """Log the replay's state, and the share of its time that each process waited in this step."""
        self.timeline.add("learner", self._spans.take(), serves=False)
        values = {
            "size": self._held,
            "transitions_lost": self._lost,
            "shards_replaced": len(self.replay.replaced),
        }
        for name, value in values.items():
            self.metrics.log_value((REPLAY_BUFFER_RESULTS, name), value, window=1)
        if len(self._returns) == _EPISODES_IN_MEAN:
            self.metrics.log_value((ENV_RUNNER_RESULTS, EPISODE_RETURN_MEAN), float(np.mean(self._returns)), window=1)
        for process, share in self.timeline.take_waiting().items():
            self.metrics.log_value((WAITING_SHARES, process.replace(" ", "_")), share, window=20)

    def discard_samples(self) -> None:
        """Wait for the actors, and forget what they report and what was requested from the replay."""
        self.env_runner_group.fetch_ready_async_reqs(tags=_TAG, timeout_seconds=None)
        self.replay.discard()
        self._weights = None

    @override
    def save_to_path(self, *args: Any, **kwargs: Any) -> str:
        """Save a checkpoint, with the replay's contents if ``save_replay`` is set."""
        path: str = super().save_to_path(*args, **kwargs)
        if self.config.save_replay:
            self.replay.save(Path(path) / _REPLAY_FOLDER)
        return path

    @override
    def restore_from_path(self, path: str | Path, *args: Any, **kwargs: Any) -> None:
        """Restore a checkpoint; without the replay's contents, learning goes on when it has filled again."""
        self.discard_samples()
        super().restore_from_path(path, *args, **kwargs)
        self._balance.restart()
        folder = Path(path) / _REPLAY_FOLDER
        if folder.is_dir():
            self.replay.load(folder)
            self._balance.restart(int(self.replay.describe()["size"]))

    @override
    def cleanup(self) -> None:
        """Stop actors, learners and shards."""
        super().cleanup()
        self.replay.close()
