"""``SelfPlayPPO``: RLlib's PPO as a league."""

from __future__ import annotations

from typing import Any, ClassVar

from ray.rllib.algorithms.ppo import PPO, PPOConfig
from ray.rllib.utils.metrics import (
    ENV_RUNNER_RESULTS,
    ENV_RUNNER_SAMPLING_TIMER,
    LEARNER_RESULTS,
    LEARNER_UPDATE_TIMER,
    NUM_ENV_STEPS_SAMPLED_LIFETIME,
    SYNCH_WORKER_WEIGHTS_TIMER,
    TIMERS,
)
from typing_extensions import override

from connectfour.league.members import MAIN
from connectfour.learning.league import League
from connectfour.learning.league_config import LeagueConfig
from connectfour.learning.ppo.env_runner import PPOEnvRunner
from connectfour.learning.ppo.learner import SelfPlayLearner
from connectfour.learning.ppo.samples import Samples
from connectfour.learning.ppo.settings import PPORunSettings
from connectfour.learning.sampling import LockstepSampler
from connectfour.rllib.annealed_learner import schedule
from connectfour.rllib.part import Part
from connectfour.rllib.parted_algorithm import PartedAlgorithm
from connectfour.rllib.parted_config import PartedConfig


class SelfPlayPPOConfig(LeagueConfig, PPOConfig):  # type: ignore[misc]  # Ray's classes are untyped here
    """Configuration of ``SelfPlayPPO``; build it with ``SelfPlayPPOConfig.from_settings(load_settings(...))``."""

    algorithm = "ppo"
    lockstep_runner = PPOEnvRunner

    def __init__(self, algo_class: type | None = None) -> None:
        """Start with default settings and without modules: ``from_settings`` completes the configuration."""
        super().__init__(algo_class=algo_class or SelfPlayPPO)

    @override
    def translate(self, settings: PPORunSettings) -> None:
        """Translate the section ``ppo`` into RLlib's options."""
        ppo, learners = settings.ppo, max(1, settings.learners)
        self.training(
            lr=schedule(ppo.learning_rate, ppo.learning_rate_end),
            train_batch_size_per_learner=ppo.batch_size // learners,
            minibatch_size=max(1, ppo.minibatch_size // learners),
            num_epochs=ppo.epochs,
            gamma=ppo.gamma,
            lambda_=ppo.gae_lambda,
            clip_param=ppo.clip,
            entropy_coeff=schedule(ppo.entropy, ppo.entropy_end),
            vf_loss_coeff=ppo.value_loss,
            vf_clip_param=float("inf"),
            use_kl_loss=False,
            grad_clip=ppo.gradient_norm,
            grad_clip_by="global_norm",
        )
        self.learners(learner_class=SelfPlayLearner)

    @override
    def parts(self, algorithm: SelfPlayPPO) -> list[Part]:
        """Make the sampler and the league."""
        algorithm.sampler = LockstepSampler(
            lambda: algorithm.env_runner_group,
            overlap=self.settings.rollout.overlap,
            patience=algorithm.patience,
            say=algorithm.say,
        )
        return [algorithm.sampler, *super().parts(algorithm)]


class SelfPlayPPO(PartedAlgorithm, PPO):  # type: ignore[misc]  # Ray's classes are untyped here
    """PPO that learns from main's moves in the games of a league.

    Attributes:
        league: the league.
        sampler: collects batches from lockstep env runners.
    """

    config_class: ClassVar[type[PartedConfig]] = SelfPlayPPOConfig
    league: League
    sampler: LockstepSampler

    @override
    def trouble(self) -> str:
        """Return what keeps the env runners from sampling."""
        return self.sampler.runners.trouble

    @override
    def advance(self) -> bool:
        """Sample with all env runners, learn from main's moves, and send main's new weights back."""
        share_done = self.share_done

        def advance(learner: Any) -> None:
            learner.share_done = share_done

        self.learner_group.foreach_learner(advance)
        if self.league.settings.rollout.env_runner == "stock":
            before = self.env_steps
            PPO.training_step(self)
            return self.env_steps > before
        with self.metrics.log_time((TIMERS, ENV_RUNNER_SAMPLING_TIMER)):
            sampled = self.sampler.collect()
        if not sampled:
            return False
        self.metrics.aggregate([measured for _, measured in sampled], key=ENV_RUNNER_RESULTS)
        if self.sampler.overlaps:
            self._push_main()
            self.sampler.start()
        self._learn(Samples.join([samples for samples, _ in sampled]).standardized())
        if not self.sampler.overlaps:
            self._push_main()
        return True

    def _learn(self, samples: Samples) -> None:
        config = self.config
        share = len(samples) // max(1, config.num_learners)
        with self.metrics.log_time((TIMERS, LEARNER_UPDATE_TIMER)):
            results = self.learner_group.update(
                batch=samples.to_batch(),
                timesteps={NUM_ENV_STEPS_SAMPLED_LIFETIME: self.env_steps},
                num_epochs=config.num_epochs,
                minibatch_size=config.minibatch_size,
                # Learners wait for one another at each minibatch: all need the same number, even with an odd sample.
                num_total_minibatches=config.num_epochs * max(1, share // config.minibatch_size),
            )
        self.metrics.aggregate(results, key=LEARNER_RESULTS)

    def _push_main(self) -> None:
        with self.metrics.log_time((TIMERS, SYNCH_WORKER_WEIGHTS_TIMER)):
            self.env_runner_group.sync_weights(
                from_worker_or_learner_group=self.learner_group, policies=[MAIN], inference_only=True
            )
