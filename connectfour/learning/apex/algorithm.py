"""``SelfPlayApex``: Ape-X as a league."""

from __future__ import annotations

from typing import Any, ClassVar

import ray
from typing_extensions import override

from connectfour.apex.algorithm import Apex, ApexConfig
from connectfour.apex.options import ApexOptions
from connectfour.cluster.offer import cluster_offer
from connectfour.games.result import SeatScores
from connectfour.league.matchmaking import Roster
from connectfour.league.members import MAIN
from connectfour.learning.apex.env_runner import ApexEnvRunner, GamesPlayed
from connectfour.learning.apex.learner import SelfPlayApexLearner
from connectfour.learning.apex.settings import ApexRunSettings
from connectfour.learning.league import League
from connectfour.learning.league_config import LeagueConfig
from connectfour.rllib.annealed_learner import schedule
from connectfour.rllib.part import Part
from connectfour.rllib.parted_config import PartedConfig

_PLIES_PER_ORDER = 16


class OrderExchange:
    """Rosters travel with the orders to the actors, and results come back with their reports: nothing waits."""

    def __init__(self) -> None:
        """Start without results."""
        self._results: dict[str, SeatScores] = {}

    def publish(self, roster: Roster) -> None:
        """Do nothing: the next orders carry the roster."""

    def take(self, played: GamesPlayed) -> None:
        """Add up the results in a report."""
        for opponent, scores in played.results.items():
            self._results[opponent] = self._results.get(opponent, SeatScores()) + scores

    def collect(self) -> dict[str, SeatScores]:
        """Return main's scores by opponent that the actors have reported since the last call."""
        results, self._results = self._results, {}
        return results


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
        apex = settings.apex
        self.training(
            lr=schedule(apex.learning_rate, apex.learning_rate_end),
            gamma=apex.gamma,
            grad_clip=apex.gradient_norm,
            grad_clip_by="global_norm",
            **apex.model_dump(include=set(ApexOptions.model_fields)),
        )
        self.replay(**settings.replay.model_dump(), asked_per_shard=asked_per_shard(settings))
        self.env_runners(rollout_fragment_length=_PLIES_PER_ORDER)
        self.learners(learner_class=SelfPlayApexLearner)

    @override
    def parts(self, algorithm: Any) -> list[Part]:
        """Make what Ape-X has and the league, which talk to the actors by the same orders and reports."""
        parts = super().parts(algorithm)
        league, exchange = algorithm.league, OrderExchange()
        league.exchange = exchange
        algorithm.actors.order_extra = lambda: league.roster
        algorithm.actors.take_extra = exchange.take
        return parts


def asked_per_shard(settings: ApexRunSettings) -> dict[str, float]:
    """Return what each replay shard asks Ray for: on several nodes, also the memory that its transitions take."""
    asked = settings.resources.replay.amounts
    if "memory" in asked or not ray.is_initialized() or len(cluster_offer().nodes) == 1:
        return asked
    return {**asked, "memory": float(settings.bytes_per_shard)}


class SelfPlayApex(Apex):
    """Ape-X that learns from the games of a league.

    Attributes:
        league: the league.
    """

    config_class: ClassVar[type[PartedConfig]] = SelfPlayApexConfig
    league: League
