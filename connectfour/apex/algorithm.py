"""``Apex``: acting, replaying and learning at the same time."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Self

import numpy as np
import ray
from pydantic import ValidationError
from ray.rllib.algorithms.algorithm_config import NotProvided
from ray.rllib.core.rl_module.rl_module import DEFAULT_MODULE_ID, RLModuleSpec
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

from connectfour.apex.actor import Actor
from connectfour.apex.actor_group import ActorGroup
from connectfour.apex.balance import Balance
from connectfour.apex.gym_actor import GymActor
from connectfour.apex.learner import WEIGHTS, ApexLearner
from connectfour.apex.options import ApexOptions, ReplayOptions, check_fit
from connectfour.apex.q_module import DuelingMLP
from connectfour.apex.replay.replay import Batch, Replay
from connectfour.apex.spans import Spans
from connectfour.apex.timeline import Timeline, waiting
from connectfour.errors import ConfigError
from connectfour.rllib.annealed_learner import schedule
from connectfour.rllib.part import Part
from connectfour.rllib.parted_algorithm import PartedAlgorithm
from connectfour.rllib.parted_config import PartedConfig

_NOT_FINITE = "TD errors are not finite: look for rewards and observations that are not numbers"

WAITING_SHARES = "waiting"
"""Key in the result: the share of its time that each process waits."""
LEARNER_SHARES = "learner_time"
"""Key in the result: the share of the learner's time by activity; together they are the whole iteration."""


class ApexConfig(PartedConfig):
    """Configuration of ``Apex``.

    >>> config = ApexConfig().environment("CartPole-v1").env_runners(num_env_runners=2, num_envs_per_env_runner=8)

    Gymnasium environments with vector observations and discrete actions need nothing else. For others, set an
    ``Actor`` (``env_runners(env_runner_cls=...)``) and an RLModule that has a ``q_values`` method.

    Attributes:
        learned_module: id of the module that learns.
        apex_options: ``ApexOptions`` as plain values, which Tune can search.
        replay_options: ``ReplayOptions`` as plain values.
        asked_per_shard: what each shard asks Ray for, by Ray's name of the resource; memory in bytes.
        anneal_env_steps: length of the schedules of the learning rate and the importance exponent.
    """

    learned_module = DEFAULT_MODULE_ID

    def __init__(self, algo_class: type | None = None) -> None:
        """Start with the defaults, which suit small control problems."""
        super().__init__(algo_class=algo_class or Apex)
        self.gamma = 0.99
        self.lr: Any = 1e-3  # a number or a schedule
        self.grad_clip = 10.0
        self.grad_clip_by = "global_norm"
        self.rollout_fragment_length = 16
        self.num_env_runners = 1
        self.num_envs_per_env_runner = 8
        self.env_runner_cls = GymActor
        # RLlib would fetch every actor's state after each iteration, and so wait until its queue is empty.
        self.merge_env_runner_states = False
        self.broadcast_env_runner_states = False
        # ``ActorGroup`` decides how many orders an actor has.
        self.max_requests_in_flight_per_env_runner = 64
        self._learner_class = ApexLearner
        self.anneal_env_steps = 1_000_000
        self.apex_options: dict[str, Any] = ApexOptions(
            batch_size=256, updates_per_iteration=16, n_step=3, replay_ratio=8.0
        ).model_dump()
        self.replay_options: dict[str, Any] = ReplayOptions(capacity=100_000, learning_starts=2_000).model_dump()
        self.asked_per_shard: dict[str, float] = {}

    @property
    def apex(self) -> ApexOptions:
        """How actors explore and the learner learns."""
        return ApexOptions(**self.apex_options)

    @override
    def training(self, *, anneal_env_steps: int = NotProvided, lr_end: float = NotProvided, **options: Any) -> Self:
        """Set how actors explore and the learner learns.

        Args:
            anneal_env_steps: length of the schedules of the learning rate and the importance exponent.
            lr_end: learning rate at their end; by default the learning rate does not change.
            options: fields of ``ApexOptions``, such as ``n_step``, and RLlib's own options, such as ``lr``, ``gamma``
                and ``grad_clip``.
        """
        own = {name: value for name, value in options.items() if name in ApexOptions.model_fields}
        self.apex_options = {**self.apex_options, **own}
        super().training(**{name: value for name, value in options.items() if name not in own})
        if anneal_env_steps is not NotProvided:
            self.anneal_env_steps = anneal_env_steps
        if lr_end is not NotProvided:
            self.lr = schedule(self.lr, lr_end)
        return self

    def replay(self, *, asked_per_shard: Mapping[str, float] = NotProvided, **options: Any) -> Self:
        """Set the replay.

        Args:
            asked_per_shard: what each shard asks Ray for, such as ``{"CPU": 1, "memory": 1e9, "ssd": 1}``; by default
                nothing.
            options: fields of ``ReplayOptions``, such as ``shards`` and ``capacity``.

        Raises:
            ConfigError: there is no such option.
        """
        unknown = options.keys() - ReplayOptions.model_fields.keys()
        if unknown:
            known = ", ".join(ReplayOptions.model_fields)
            raise ConfigError(f"the replay has no option {min(unknown)}: choose one of {known}")
        self.replay_options = {**self.replay_options, **options}
        if asked_per_shard is not NotProvided:
            self.asked_per_shard = dict(asked_per_shard)
        return self

    @override
    def validate(self) -> None:
        """Check that actors, replay and learner fit together.

        Raises:
            ConfigError: they do not; the message says what to change.
        """
        super().validate()
        if self.num_env_runners < 1 and not self.in_evaluation:
            raise ConfigError(
                f"num_env_runners = {self.num_env_runners}: Ape-X acts in remote env runners, set 1 or more"
            )
        if not issubclass(self.env_runner_cls, Actor):
            raise ConfigError(f"{self.env_runner_cls.__name__} is not an Actor: use a subclass of Actor")
        if self.evaluation_interval and issubclass(self.env_runner_cls, GymActor):
            raise ConfigError(
                f"evaluation_interval = {self.evaluation_interval}: RLlib's evaluation counts episodes, which GymActor "
                "does not have; read env_runners/episode_return_mean instead"
            )
        check_options(self.apex_options, self.replay_options)

    @override
    def get_default_rl_module_spec(self) -> RLModuleSpec:
        """Return a dueling network over vectors."""
        return RLModuleSpec(module_class=DuelingMLP)

    @override
    def parts(self, algorithm: Apex) -> list[Part]:
        """Start the replay, and make the group of actors."""
        options, replay = self.apex, ReplayOptions(**self.replay_options)
        algorithm.timeline, algorithm.spans = Timeline(), Spans()

        algorithm.balance = Balance(
            options.replay_ratio, replay.learning_starts, options.batch_size * options.updates_per_iteration
        )
        algorithm.replay = Replay(
            replay, self.seed or 0, patience=self.patience, say=algorithm.say, asked=self.asked_per_shard
        )
        algorithm.actors = ActorGroup(
            lambda: algorithm.env_runner_group,
            algorithm.replay,
            algorithm.balance,
            algorithm.timeline,
            patience=self.patience,
            say=algorithm.say,
        )
        return [algorithm.actors, algorithm.replay, *super().parts(algorithm)]

    @override
    def share_done(self, *, env_steps: int, seconds: float) -> float:
        """Return the share of ``anneal_env_steps`` that is done, in [0, 1]."""
        return min(1.0, env_steps / self.anneal_env_steps)


class Apex(PartedAlgorithm):
    """Double Q-learning with distributed prioritized replay and actors that run alongside the learner.

    In the result, ``env_runners/episode_return_mean`` is the mean over the latest 20 episodes in nearly greedy
    environments, ``replay_buffer`` describes the replay, ``waiting`` gives the share of its time that each process
    waits, and ``learner_time`` what the learner spends a whole iteration on.

    Attributes:
        actors: the env runners.
        replay: the shards.
        balance: keeps acting and learning in step.
        timeline: what learner, actors and shards do at the same time.
        spans: what the learner does.
        updates: gradient steps taken by this object.
    """

    config_class: ClassVar[type[PartedConfig]] = ApexConfig
    actors: ActorGroup
    replay: Replay
    balance: Balance
    timeline: Timeline
    spans: Spans
    updates = 0
    _held = 0
    _refused_said = 0
    _waits: Mapping[str, float] = MappingProxyType({})

    @override
    def advance(self) -> bool:
        """Take ``updates_per_iteration`` gradient steps on a batch from the replay while the actors keep acting."""
        if not self.actors.has_weights:
            self._broadcast()
        batch = self._next_batch()
        if batch is not None:
            self._learn(batch)
            self._broadcast()
        self._log()
        return batch is not None

    @override
    def trouble(self) -> str:
        """Return what keeps the actors from sending transitions."""
        refused = self.actors.refused
        if not refused:
            return self.actors.runners.trouble
        return f"{self.actors.runners.trouble}; the replay refused {refused:,} transitions whose {_NOT_FINITE}"

    def _note_refused(self) -> None:
        """Say so when the replay has refused transitions, and again whenever their number has doubled."""
        refused = self.actors.refused + self.replay.refused
        if refused > 2 * self._refused_said:
            self._refused_said = refused
            self.say(f"the replay has refused {refused:,} transitions whose {_NOT_FINITE}")

    def _next_batch(self) -> Batch | None:
        """Return the batch that was fetched ahead and request the next one; None if there is nothing to wait for."""
        self._direct_actors(wait=False)
        with self.spans.measure("wait for actors"):
            while not self.balance.may_learn():
                self._direct_actors(wait=True)
                if not self.actors.runners.is_waited_for and not self.balance.may_learn():
                    return None
                self.patience.check(self.trouble())
                self.revive()
        if not self.replay.is_requested:
            self._request()
        with self.spans.measure("wait for replay"):
            batch = self.replay.collect()
        if batch is None:
            # Every shard has died, perhaps after a long wait: learning goes on when the new ones have filled.
            self.patience.progressed()
            self.balance.restart()
            self._held = 0
        else:
            self.balance.used += len(batch)
            self._held = batch.held
            for number, spans in batch.spans:
                self.timeline.add(f"shard {number}", spans)
            self._request()
        return batch

    def _request(self) -> None:
        beta = self.config.replay_options["beta"]
        self.replay.request(self.balance.batch, beta + (1 - beta) * self.share_done)

    def _direct_actors(self, *, wait: bool) -> None:
        """Collect reports and give new orders."""
        order_size = self.config.num_envs_per_env_runner * self.config.get_rollout_fragment_length(1)
        reports, more = self.actors.direct(order_size, wait=wait)
        if reports:
            self.metrics.aggregate([report.metrics for report in reports], key=ENV_RUNNER_RESULTS)
        if more:
            self.patience.progressed()

    def _learn(self, batch: Batch) -> None:
        share_done, updates = self.share_done, self.config.apex_options["updates_per_iteration"]

        def advance(learner: ApexLearner) -> None:
            learner.share_done = share_done

        columns = {**batch.columns, WEIGHTS: batch.weights}
        with self.spans.measure("learn"), self.metrics.log_time((TIMERS, LEARNER_UPDATE_TIMER)):
            self.learner_group.foreach_learner(advance)
            results = self.learner_group.update(
                batch=MultiAgentBatch({self.config.learned_module: SampleBatch(columns)}, env_steps=len(batch)),
                timesteps={NUM_ENV_STEPS_SAMPLED_LIFETIME: self.env_steps},
                num_total_minibatches=updates,
            )
            errors = [each.get() for each in self.learner_group.foreach_learner(lambda each: each.take_td_errors())]
        self.updates += updates
        self.metrics.aggregate(results, key=LEARNER_RESULTS)
        self.replay.update_priorities(batch, np.concatenate(errors))

    def _broadcast(self) -> None:
        """Put the weights where the actors' next orders find them."""
        with self.spans.measure("broadcast"), self.metrics.log_time((TIMERS, SYNCH_WORKER_WEIGHTS_TIMER)):
            self.actors.broadcast(ray.put(self.learner_group.get_weights([self.config.learned_module])))

    def _log(self) -> None:
        """Log the replay's state, and what each process has spent its time on since the last call."""
        self._note_refused()
        self.timeline.add("learner", self.spans.take(), serves=False)
        values = {
            "size": self._held,
            "transitions_lost": self.actors.lost,
            "transitions_refused": self.actors.refused + self.replay.refused,
            "shards_replaced": len(self.replay.replaced),
        }
        for name, value in values.items():
            self.metrics.log_value((REPLAY_BUFFER_RESULTS, name), value, window=1)
        if self.actors.return_mean is not None:
            self.metrics.log_value((ENV_RUNNER_RESULTS, EPISODE_RETURN_MEAN), self.actors.return_mean, window=1)
        shares = self.timeline.take_shares()
        # An actor that has not reported since the last call keeps its share.
        self._waits = {**self._waits, **{process: waiting(each) for process, each in shares.items()}}
        for process, share in self._waits.items():
            self.metrics.log_value((WAITING_SHARES, process.replace(" ", "_")), share, window=20)
        for activity, share in shares.get("learner", {}).items():
            self.metrics.log_value((LEARNER_SHARES, activity.replace(" ", "_")), share, window=20)


def check_options(apex: dict[str, Any], replay: dict[str, Any]) -> None:
    """Check the plain values of ``ApexOptions`` and ``ReplayOptions``.

    Raises:
        ConfigError: a value is out of range, or two do not fit together; the message says what to change.
    """
    try:
        check_fit(ApexOptions(**apex), ReplayOptions(**replay))
    except ValidationError as error:
        fault = error.errors()[0]
        name, message = ".".join(map(str, fault["loc"])), fault["msg"]
        raise ConfigError(f"{name} = {fault['input']!r} is not allowed: {message[0].lower()}{message[1:]}") from None
    except ValueError as error:
        raise ConfigError(str(error)) from None
