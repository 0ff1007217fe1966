"""``Apex``: acting, replaying and learning at the same time."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Self

import numpy as np
import ray
from ray.rllib.algorithms.algorithm import Algorithm
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig, NotProvided
from ray.rllib.core.rl_module.rl_module import DEFAULT_MODULE_ID, RLModuleSpec
from ray.rllib.policy.sample_batch import MultiAgentBatch, SampleBatch
from ray.rllib.utils.metrics import (
    ENV_RUNNER_RESULTS,
    LEARNER_RESULTS,
    LEARNER_UPDATE_TIMER,
    NUM_ENV_STEPS_SAMPLED_LIFETIME,
    REPLAY_BUFFER_RESULTS,
    SYNCH_WORKER_WEIGHTS_TIMER,
    TIMERS,
)
from typing_extensions import override

from connectfour.annealed_learner import schedule
from connectfour.apex.actor import Actor, Order, Report
from connectfour.apex.gym_actor import GymActor
from connectfour.apex.learner import WEIGHTS, ApexLearner
from connectfour.apex.q_module import DuelingMLP
from connectfour.errors import ConfigError
from connectfour.replay.replay import Batch, Replay
from connectfour.replay.spans import Spans

_log = logging.getLogger(__name__)
_TAG = "act"
_ORDERS_PER_ACTOR = 2
_PATIENCE_S = 0.05
_REPLAY_FOLDER = "replay"


class ApexConfig(AlgorithmConfig):  # type: ignore[misc]  # Ray's classes are untyped here
    """Configuration of ``Apex``.

    >>> config = ApexConfig().environment("CartPole-v1").env_runners(num_env_runners=2, num_envs_per_env_runner=8)

    Gymnasium environments with vectors as observations and discrete actions need nothing else. For others, set an
    ``Actor`` (``env_runners(env_runner_cls=...)``) and an RLModule that has a method ``q_values``.

    Attributes:
        learned_module: id of the module that learns.
    """

    learned_module = DEFAULT_MODULE_ID

    def __init__(self, algo_class: type | None = None) -> None:
        """Start with the defaults, which suit small control problems."""
        super().__init__(algo_class=algo_class or Apex)
        self.gamma = 0.99
        self.lr = 1e-3
        self.grad_clip = 10.0
        self.grad_clip_by = "global_norm"
        self.rollout_fragment_length = 16
        self.num_env_runners = 1
        self.num_envs_per_env_runner = 8
        self.env_runner_cls = GymActor
        self.restart_failed_env_runners = True
        self._learner_class = ApexLearner
        self.batch_size = 256
        self.updates_per_step = 16
        self.n_step = 3
        self.target_every = 200
        self.replay_ratio = 8.0
        self.anneal_env_steps = 1_000_000
        self.epsilon = 0.4
        self.epsilon_alpha = 7.0
        self.replay_shards = 1
        self.replay_capacity = 100_000
        self.learning_starts = 2_000
        self.priority_alpha = 0.6
        self.importance_beta = 0.4
        self.save_replay = False

    @override
    def training(
        self,
        *,
        batch_size: int = NotProvided,
        updates_per_step: int = NotProvided,
        n_step: int = NotProvided,
        target_every: int = NotProvided,
        replay_ratio: float = NotProvided,
        anneal_env_steps: int = NotProvided,
        lr_end: float = NotProvided,
        epsilon: float = NotProvided,
        epsilon_alpha: float = NotProvided,
        **kwargs: Any,
    ) -> Self:
        """Set how actors explore and the learner learns.

        Args:
            batch_size: transitions per gradient step.
            updates_per_step: gradient steps between two broadcasts of the weights; one batch from the replay, which is
                fetched ahead, serves them all.
            n_step: steps whose rewards a return sums up.
            target_every: gradient steps between two updates of the target network.
            replay_ratio: how often each transition is learned from on average; whichever side is ahead waits.
            anneal_env_steps: length of the schedules of the learning rate and the importance exponent.
            lr_end: learning rate at their end; by default the learning rate does not change.
            epsilon: exploration probability of the board that explores most.
            epsilon_alpha: exponent that spreads exploration over the boards.
            kwargs: RLlib's own options, such as ``lr``, ``gamma`` and ``grad_clip``.
        """
        self._set(
            batch_size=batch_size,
            updates_per_step=updates_per_step,
            n_step=n_step,
            target_every=target_every,
            replay_ratio=replay_ratio,
            anneal_env_steps=anneal_env_steps,
            epsilon=epsilon,
            epsilon_alpha=epsilon_alpha,
        )
        super().training(**kwargs)
        if lr_end is not NotProvided:
            self.lr = schedule(self.lr, lr_end)
        return self

    def replay(
        self,
        *,
        shards: int = NotProvided,
        capacity: int = NotProvided,
        learning_starts: int = NotProvided,
        alpha: float = NotProvided,
        beta: float = NotProvided,
        save: bool = NotProvided,
    ) -> Self:
        """Set the replay.

        Args:
            shards: number of Ray actors that hold it.
            capacity: transitions that they hold together.
            learning_starts: transitions that must have arrived before learning begins.
            alpha: exponent of priorities; 0 draws uniformly.
            beta: exponent of importance weights at the start; it grows to 1.
            save: whether checkpoints contain the transitions.
        """
        self._set(
            replay_shards=shards,
            replay_capacity=capacity,
            learning_starts=learning_starts,
            priority_alpha=alpha,
            importance_beta=beta,
            save_replay=save,
        )
        return self

    def _set(self, **values: Any) -> None:
        for name, value in values.items():
            if value is not NotProvided:
                setattr(self, name, value)

    @override
    def validate(self) -> None:
        """Check that actors, replay and learner fit together.

        Raises:
            ConfigError: they do not; the message says what to change.
        """
        super().validate()
        if self.num_env_runners < 1 and not self.in_evaluation:
            raise ConfigError(f"num_env_runners = {self.num_env_runners}: Ape-X acts in remote env runners, set 1 or more")
        if not issubclass(self.env_runner_cls, Actor):
            raise ConfigError(f"{self.env_runner_cls.__name__} is not an Actor: Ape-X needs env runners that are")
        if self.replay_shards < 1:
            raise ConfigError(f"{self.replay_shards} replay shards cannot hold anything: set 1 or more")
        if self.replay_capacity < self.batch_size:
            raise ConfigError(
                f"a replay of {self.replay_capacity:,} transitions is smaller than a batch of {self.batch_size:,}: "
                "raise its capacity"
            )
        if self.learning_starts > self.replay_capacity:
            raise ConfigError(
                f"learning starts at {self.learning_starts:,} transitions and the replay holds only "
                f"{self.replay_capacity:,}: lower the former"
            )

    @override
    def get_default_rl_module_spec(self) -> RLModuleSpec:
        """Return a dueling network over vectors."""
        return RLModuleSpec(module_class=DuelingMLP)


class Apex(Algorithm):  # type: ignore[misc]  # Ray's classes are untyped here
    """Double Q-learning with actors apart from the learner and distributed prioritized replay.

    Attributes:
        replay: the shards.
        spans: how the learner's process spends its time.
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
        self.spans = Spans()
        self._version = self._used = self._arrived = self._lost = 0
        self._actor_spans: list[Spans] = []
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
        return min(1.0, self.env_steps / self.config.anneal_env_steps)

    def order_extra(self) -> Any:
        """Return what orders to actors hold in addition."""
        return None

    def take_report(self, report: Report) -> None:
        """Take what an actor reports in addition."""

    @override
    def training_step(self) -> None:
        """Learn from one batch of the replay, ``updates_per_step`` gradient steps, while the actors go on."""
        if self._weights is None:
            self._broadcast()
        batch = self._next_batch()
        if batch is not None:
            self._learn(batch)
            self._broadcast()
        self._log_replay()

    @property
    def _rows(self) -> int:
        return int(self.config.batch_size * self.config.updates_per_step)

    def _next_batch(self) -> Batch | None:
        """Return the batch that was fetched ahead and request the next one; None while the replay fills."""
        with self.spans.measure("wait for actors"):
            self._direct_actors(wait=False)
            while not self._may_learn():
                if not self._direct_actors(wait=True):
                    return None
        if not self.replay.is_requested:
            self._request()
        with self.spans.measure("wait for replay"):
            batch = self.replay.collect()
        if batch is not None:
            self._used += len(batch)
            self._request()
        return batch

    def _request(self) -> None:
        beta = self.config.importance_beta
        self.replay.request(self._rows, beta + (1 - beta) * self.share_done)

    def _may_learn(self) -> bool:
        config = self.config
        return bool(
            self._arrived >= config.learning_starts
            and self._used + self._rows <= self._arrived * config.replay_ratio
        )

    def _direct_actors(self, *, wait: bool) -> bool:
        """Collect reports and give new orders; return whether there is anything to wait for."""
        group = self.env_runner_group
        reports = group.fetch_ready_async_reqs(tags=_TAG, timeout_seconds=_PATIENCE_S if wait else 0.0)
        for _, report in reports:
            self._arrived += report.transitions
            self._lost += report.lost
            self._actor_spans.append(report.spans)
            self.metrics.aggregate([report.metrics], key=ENV_RUNNER_RESULTS)
            self.take_report(report)
        # Actors may be two batches ahead of what the learner has used.
        config = self.config
        if self._arrived < max(config.learning_starts, (self._used + 2 * self._rows) / config.replay_ratio):
            order = Order(tuple(self.replay.shards), self._weights, self._version, self.order_extra())
            group.foreach_env_runner_async(lambda actor: actor.act(order), tag=_TAG)
        return bool(group.num_in_flight_async_reqs(_TAG))

    def _learn(self, batch: Batch) -> None:
        share_done = self.share_done

        def advance(learner: ApexLearner) -> None:
            learner.share_done = share_done

        columns = {**batch.columns, WEIGHTS: batch.weights}
        with self.spans.measure("learn"), self.metrics.log_time((TIMERS, LEARNER_UPDATE_TIMER)):
            self.learner_group.foreach_learner(advance)
            results = self.learner_group.update(
                batch=MultiAgentBatch({self.config.learned_module: SampleBatch(columns)}, env_steps=len(batch)),
                timesteps={NUM_ENV_STEPS_SAMPLED_LIFETIME: self.env_steps},
                num_total_minibatches=self.config.updates_per_step,
            )
            errors = [each.get() for each in self.learner_group.foreach_learner(lambda each: each.take_td_errors())]
        self.metrics.aggregate(results, key=LEARNER_RESULTS)
        self.replay.update_priorities(batch, np.concatenate(errors))

    def _broadcast(self) -> None:
        """Put the weights where the actors' next orders find them."""
        with self.spans.measure("broadcast"), self.metrics.log_time((TIMERS, SYNCH_WORKER_WEIGHTS_TIMER)):
            self._weights = ray.put(self.learner_group.get_weights([self.config.learned_module]))
            self._version += 1

    def _log_replay(self) -> None:
        held = min(self._arrived, self.config.replay_capacity)
        values = {"size": held, "transitions_lost": self._lost, "shards_replaced": len(self.replay.replaced)}
        for name, value in values.items():
            self.metrics.log_value((REPLAY_BUFFER_RESULTS, name), value, window=1)

    def discard_samples(self) -> None:
        """Wait for the actors, and forget what they report and what was requested from the replay."""
        self.env_runner_group.fetch_ready_async_reqs(tags=_TAG, timeout_seconds=None)
        self.replay.discard()
        self._weights = None

    @override
    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Save a checkpoint, with the replay's contents if ``save_replay`` is set."""
        if self.config.save_replay:
            self.replay.save(Path(checkpoint_dir) / _REPLAY_FOLDER)
        super().save_checkpoint(checkpoint_dir)

    @override
    def restore_from_path(self, path: str | Path, *args: Any, **kwargs: Any) -> None:
        """Restore a checkpoint; without the replay's contents, learning goes on when it has filled again."""
        super().restore_from_path(path, *args, **kwargs)
        self._used = self._arrived = 0
        folder = Path(path) / _REPLAY_FOLDER
        if folder.is_dir():
            self.replay.load(folder)
            self._arrived = int(self.replay.describe()["size"])
            self._used = int(self._arrived * self.config.replay_ratio) - self._rows

    @override
    def cleanup(self) -> None:
        """Stop actors, learners and shards."""
        super().cleanup()
        self.replay.close()
