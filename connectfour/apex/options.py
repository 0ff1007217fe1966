"""``ApexOptions``: how Ape-X acts, replays and learns."""

from __future__ import annotations

from typing import Any, Self

from ray.rllib.algorithms.algorithm_config import AlgorithmConfig, NotProvided
from ray.rllib.core.rl_module.rl_module import DEFAULT_MODULE_ID, RLModuleSpec
from typing_extensions import override

from connectfour.apex.actor import Actor
from connectfour.apex.gym_actor import GymActor
from connectfour.apex.learner import ApexLearner
from connectfour.apex.q_module import DuelingMLP
from connectfour.errors import ConfigError
from connectfour.rllib.annealed_learner import schedule


class ApexOptions(AlgorithmConfig):  # type: ignore[misc]  # Ray's classes are untyped here
    """The options of ``Apex``; use ``connectfour.apex.algorithm.ApexConfig``.

    Attributes:
        learned_module: id of the module that learns.
    """

    learned_module = DEFAULT_MODULE_ID

    def __init__(self, algo_class: type | None = None) -> None:
        """Start with the defaults, which suit small control problems."""
        super().__init__(algo_class=algo_class)
        self.gamma = 0.99
        self.lr: Any = 1e-3  # a number or a schedule
        self.grad_clip = 10.0
        self.grad_clip_by = "global_norm"
        self.rollout_fragment_length = 16
        self.num_env_runners = 1
        # Actors must not run out of orders while the learner is busy.
        self.max_requests_in_flight_per_env_runner = 8
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
            n_step: number of steps whose rewards are summed before bootstrapping.
            target_every: gradient steps between two updates of the target network.
            replay_ratio: how often each transition is learned from on average; whichever side is ahead waits.
            anneal_env_steps: length of the schedules of the learning rate and the importance exponent.
            lr_end: learning rate at their end; by default the learning rate does not change.
            epsilon: exploration probability of the environment that explores most.
            epsilon_alpha: exponent that spreads exploration over the environments.
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
                f"{self.replay_capacity:,}: lower learning_starts or raise the capacity"
            )

    @override
    def get_default_rl_module_spec(self) -> RLModuleSpec:
        """Return a dueling network over vectors."""
        return RLModuleSpec(module_class=DuelingMLP)
