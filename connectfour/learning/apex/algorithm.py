"""``SelfPlayApex``: Ape-X as a league."""

from __future__ import annotations

from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from typing_extensions import override

from connectfour.apex.actor import Report
from connectfour.apex.algorithm import Apex, ApexConfig
from connectfour.games.result import SeatScores
from connectfour.league.matchmaking import Roster
from connectfour.league.members import MAIN
from connectfour.learning.apex.env_runner import ApexEnvRunner
from connectfour.learning.apex.learner import SelfPlayApexLearner
from connectfour.learning.league import LeagueAlgorithm
from connectfour.learning.league_config import LeagueConfig
from connectfour.rllib.annealed_learner import schedule
from connectfour.settings.schema import ApexRunSettings

_PLIES_PER_ORDER = 16


class SelfPlayApexConfig(LeagueConfig, ApexConfig):
    """Configuration of ``SelfPlayApex``; build it with ``SelfPlayApexConfig.from_settings(load_settings(...))``."""

    algorithm = "apex"
    lockstep_runner = ApexEnvRunner
    learned_module = MAIN

    def __init__(self, algo_class: type | None = None) -> None:
        """Start with default settings and without modules: ``from_settings`` completes the configuration."""
        super().__init__(algo_class=algo_class or SelfPlayApex)

    @override
    def translate(self, settings: ApexRunSettings) -> None:
        """Translate the sections ``apex`` and ``replay`` into the options of ``ApexConfig``."""
        apex, replay = settings.apex, settings.replay
        self.training(
            lr=schedule(apex.learning_rate, apex.learning_rate_end),
            gamma=apex.gamma,
            grad_clip=apex.gradient_norm,
            grad_clip_by="global_norm",
            batch_size=apex.batch_size,
            updates_per_step=apex.updates_per_iteration,
            n_step=apex.n_step,
            target_every=apex.target_every,
            replay_ratio=apex.replay_ratio,
            epsilon=apex.epsilon,
            epsilon_alpha=apex.epsilon_alpha,
        )
        self.replay(
            shards=replay.shards,
            capacity=replay.capacity,
            learning_starts=replay.learning_starts,
            alpha=replay.alpha,
            beta=replay.beta,
            save=replay.in_checkpoints,
        )
        self.env_runners(rollout_fragment_length=_PLIES_PER_ORDER)
        self.learners(learner_class=SelfPlayApexLearner)


class SelfPlayApex(LeagueAlgorithm, Apex):
    """Ape-X that learns from the games of a league.

    Rosters travel with the orders to the actors, and results come back with their reports, so an iteration never waits
    for the actors.
    """

    settings: ApexRunSettings

    @classmethod
    @override
    def get_default_config(cls) -> AlgorithmConfig:
        """Return the default configuration."""
        return SelfPlayApexConfig()

    @override
    def setup(self, config: AlgorithmConfig) -> None:
        """Build everything."""
        self._results: dict[str, SeatScores] = {}
        super().setup(config)

    @override
    def order_extra(self) -> Roster:
        """Return the roster."""
        return self._roster()

    @override
    def take_report(self, report: Report) -> None:
        """Add up the results of the league's games."""
        for opponent, scores in report.extra.results.items():
            self._results[opponent] = self._results.get(opponent, SeatScores()) + scores

    @override
    def collect_results(self) -> dict[str, SeatScores]:
        """Return main's scores by opponent that the actors have reported since the last call."""
        results, self._results = self._results, {}
        return results

    @override
    def push_roster(self) -> None:
        """Do nothing: the actors' next orders carry the roster."""
