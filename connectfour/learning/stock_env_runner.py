"""RLlib's own env runner with the league's matchmaker: the slow reference for the lockstep runner."""

from __future__ import annotations

from typing import Any

import numpy as np
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.env.multi_agent_env_runner import MultiAgentEnvRunner
from typing_extensions import override

from connectfour.league.pool import first_matchmaker
from connectfour.rllib.streams import Stream, runner_stream, seed_everything
from connectfour.settings.schema import RunSettings


class StockEnvRunner(MultiAgentEnvRunner):  # type: ignore[misc]  # Ray's classes are untyped here
    """Plays on the game's RLlib environment, one Python environment per game.

    ``SelfPlayCallback`` draws a match-up for each episode and counts how it ended.

    Attributes:
        settings: the run's settings.
        matchmaker: draws match-ups and counts results.
        stream: seeds of its random numbers.
    """

    stream: Stream

    def __init__(self, config: AlgorithmConfig, **kwargs: Any) -> None:
        """Build modules and environments as ``config`` says."""
        self.settings: RunSettings = config.settings
        super().__init__(config, **kwargs)
        self.matchmaker = first_matchmaker(self.settings, self.stream)

    @override
    def make_module(self) -> None:
        """Seed everything, and build the modules: heuristics draw their seeds from NumPy's generator."""
        self.stream = runner_stream(self.config, self.worker_index or 0)
        seed_everything(self.stream)
        self._seed = int(np.random.SeedSequence(self.stream).generate_state(1)[0] >> 1)
        super().make_module()

    def restart_games(self) -> None:
        """Start new games at the next ``sample``: other policies have played those under way."""
        self._needs_initial_reset = True
        self.matchmaker.drain()
