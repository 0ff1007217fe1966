"""What a league adds to the configuration of any RLlib algorithm."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import torch
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig, NotProvided
from ray.rllib.core.rl_module.multi_rl_module import MultiRLModuleSpec
from ray.rllib.env.env_runner import EnvRunner

from connectfour.errors import ConfigError
from connectfour.games.connect_four.env import ENV_NAME
from connectfour.league.members import MAIN
from connectfour.learning.modules import module_of_agent, module_specs
from connectfour.learning.stock_env_runner import StockEnvRunner
from connectfour.settings.reading import check_setting_name, set_value, validate_settings
from connectfour.settings.schema import AnyRunSettings, RunSettings

# A resumed run must not repeat the games of its first iterations: each restart shifts all seeds by a prime.
_SEED_STEP = 10_007


class LeagueConfig(AlgorithmConfig):  # type: ignore[misc]  # Ray's classes are untyped here
    """The league's part of a configuration; mix it in before the algorithm's own class.

    Build it with ``from_settings``. RLlib's own options can be changed afterward as usual, with ``training(...)``,
    ``env_runners(...)`` and so on. ``callbacks(SelfPlayCallback)`` is required: it lets the league grow.

    Attributes:
        algorithm: the setting ``algorithm`` of its runs.
        lockstep_runner: the lockstep env runner that samples for this algorithm.
    """

    algorithm: str
    lockstep_runner: type[EnvRunner]

    def __init__(self, algo_class: type | None = None) -> None:
        """Start with default settings and without modules: ``from_settings`` completes the configuration."""
        super().__init__(algo_class=algo_class)
        self.run_settings: dict[str, Any] = validate_settings({"algorithm": self.algorithm}).model_dump(mode="json")
        self.searched: dict[str, Any] = {}
        self.league_folder: str | None = None
        self.restore_from: str | None = None

    @property
    def settings(self) -> AnyRunSettings:
        """The run's settings."""
        return validate_settings(self.run_settings)

    @abstractmethod
    def translate(self, settings: Any) -> None:
        """Translate the algorithm's own sections into RLlib's options."""

    @classmethod
    def from_settings(cls, settings: RunSettings | None = None, *, seed_shift: int = 0) -> Self:
        """Translate ``settings`` (default: all defaults) into an RLlib configuration.

        ``seed_shift``, the iteration of a resumed run, gives it different random numbers from its earlier parts.

        Raises:
            ConfigError: a heuristic is unknown, or the settings are those of another algorithm.
        """
        settings = settings or validate_settings({"algorithm": cls.algorithm})
        if settings.algorithm != cls.algorithm:
            raise ConfigError(
                f"{cls.__name__} was given settings of algorithm={settings.algorithm}: load them with "
                f"algorithm={cls.algorithm}"
            )
        rollout, learners = settings.rollout, max(1, settings.learners)
        config = cls()
        config.run_settings = settings.model_dump(mode="json")
        config.environment(ENV_NAME)
        config.disable_env_checking = True  # RLlib's check plays a move on every environment; a test does it instead
        config.env_runners(
            env_runner_cls=config.lockstep_runner if rollout.env_runner == "lockstep" else StockEnvRunner,
            num_env_runners=rollout.env_runners,
            num_envs_per_env_runner=rollout.envs_per_runner,
        )
        config.learners(
            num_learners=settings.learners,
            num_gpus_per_learner=min(1, torch.cuda.device_count() / learners),
        )
        specs = module_specs(settings)
        config.rl_module(rl_module_spec=MultiRLModuleSpec(rl_module_specs=specs))
        config.multi_agent(policies=set(specs), policy_mapping_fn=module_of_agent, policies_to_train=[MAIN])
        config.fault_tolerance(restart_failed_env_runners=True)
        config.debugging(seed=(settings.seed + _SEED_STEP * seed_shift) % 2**31, log_level="ERROR")
        config.translate(settings)
        return config

    def league(self, *, folder: str | Path | None = NotProvided, restore_from: str | Path | None = NotProvided) -> Self:
        """Set where the league lives.

        Args:
            folder: where snapshots and the manifest are written; by default ``league`` in the trial's folder.
            restore_from: a checkpoint to start from.
        """
        if folder is not NotProvided:
            self.league_folder = None if folder is None else str(Path(folder).resolve())
        if restore_from is not NotProvided:
            self.restore_from = None if restore_from is None else str(Path(restore_from).resolve())
        return self

    def search(self, space: Mapping[str, Any]) -> Self:
        """Let Tune search settings: ``config.search({"network.width": tune.choice([256, 512])})``; calls add up.

        Args:
            space: Tune search spaces by the dotted names of settings, including those of league and network.

        Raises:
            ConfigError: a setting is unknown, or cannot be searched.
        """
        for name in space:
            check_setting_name(name, self.settings.algorithm)
            if name == "algorithm":
                raise ConfigError("algorithm cannot be searched: build one configuration per algorithm")
        self.searched = {**self.searched, **space}
        return self

    def validate(self) -> None:
        """Apply the values that Tune drew in a search, then let RLlib validate the configuration.

        Raises:
            ConfigError: a drawn value is out of range.
        """
        self._apply_search()
        super().validate()

    def _apply_search(self) -> None:
        """Translate the settings again with the drawn values; only the options they change are set."""
        values = self.settings.model_dump(mode="json")
        for name, value in self.searched.items():
            set_value(values, name, value)
        before, after = self.settings, validate_settings(values)
        if before == after:
            return
        old, new = (vars(self.from_settings(settings)) for settings in (before, after))
        for name, value in new.items():
            if value != old[name]:
                setattr(self, name, value)
