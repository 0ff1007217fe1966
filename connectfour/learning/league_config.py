"""What a league adds to the configuration of any RLlib algorithm."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from pyarrow.fs import LocalFileSystem
from ray.rllib.algorithms.algorithm_config import NotProvided
from ray.rllib.callbacks.callbacks import RLlibCallback
from ray.rllib.core.rl_module.multi_rl_module import MultiRLModuleSpec
from ray.rllib.env.env_runner import EnvRunner
from ray.rllib.utils import force_list
from typing_extensions import override

from connectfour.errors import ConfigError
from connectfour.league.members import MAIN
from connectfour.learning.league import League
from connectfour.learning.modules import check_players_see_enough, module_of_agent, module_specs
from connectfour.learning.placement import check_gpu, place
from connectfour.learning.stock_env_runner import StockEnvRunner
from connectfour.learning.store_copy import StoreCopy
from connectfour.rllib.part import Part
from connectfour.rllib.parted_config import PartedConfig
from connectfour.runs.folder import NOTICES, RunFolder
from connectfour.settings.reading import check_effect, check_setting_name, set_value, validate_settings
from connectfour.settings.schema import RunSettings
from connectfour.storage.remote import RemoteFolder
from connectfour.system.names import load_name

# By name: hooks stand above this room.
_LEAGUE_CALLBACK = "callbacks.self_play:SelfPlayCallback"

# A resumed run must not repeat the games of its first iterations: each restart shifts all seeds by a prime.
_SEED_STEP = 10_007


class LeagueConfig(PartedConfig):
    """The league's part of a configuration; mix it in before the algorithm's own class.

    Build it with ``from_settings``. RLlib's own options can be changed afterward as usual, with ``training(...)``,
    ``env_runners(...)`` and so on.

    Attributes:
        algorithm: the setting ``algorithm`` of its runs.
        lockstep_runner: the lockstep env runner that samples for this algorithm.
    """

    algorithm: str
    lockstep_runner: type[EnvRunner]
    paths: ClassVar[tuple[str, ...]] = ("league_folder", "restore_from", "league_store")

    def __init__(self, algo_class: type | None = None) -> None:
        """Start with default settings and without modules: ``from_settings`` completes the configuration."""
        super().__init__(algo_class=algo_class)
        self.run_settings: dict[str, Any] = validate_settings({"algorithm": self.algorithm}).model_dump(mode="json")
        self.searched: dict[str, Any] = {}
        self.league_folder: str | None = None
        self.restore_from: str | None = None
        self.league_store: RemoteFolder | None = None

    @property
    def settings(self) -> Any:
        """The run's settings: the ``RunSettings`` of the algorithm."""
        return validate_settings(self.run_settings)

    def parts(self, algorithm: Any) -> list[Part]:
        """Make the league, in ``league_folder`` or in the folder of Tune's trial, or in a copy of an object store's.

        Raises:
            ConfigError: Torch does not find the GPU that the trainer has been given.
        """
        check_gpu(self)
        store = self._store(algorithm)
        folder = self._folder(algorithm)
        copies = [StoreCopy(store, folder.parent, algorithm.say)] if store else []
        start = self.restore_from
        if start and copies:
            start = str(copies[0].fetch(start))
        algorithm.league = League(algorithm, self.settings, folder, start)
        return [*super().parts(algorithm), algorithm.league, *copies]

    def _folder(self, algorithm: Any) -> Path:
        if self._store(algorithm):
            return RunFolder(Path(algorithm.logdir) / "copy").league
        return Path(self.league_folder) if self.league_folder else RunFolder(_trial(algorithm)).league

    def _store(self, algorithm: Any) -> RemoteFolder | None:
        """Return the run's folder in an object store, if it has one: what ``league`` was given, or the trial's."""
        storage = algorithm._storage  # noqa: SLF001  # Tune offers no other way
        if self.league_store:
            return self.league_store
        if self.league_folder or not storage:
            return None
        if isinstance(storage.storage_filesystem, LocalFileSystem):
            return None
        return RemoteFolder(storage.storage_filesystem, storage.trial_fs_path, storage.trial_fs_path)

    def scratch(self, algorithm: Any) -> Path | None:
        """Return the league's folder, where a resume removes what a killed process left."""
        return self._folder(algorithm)

    def notices(self, algorithm: Any) -> Path | None:
        """Return the file for notices in the league's folder."""
        return self._folder(algorithm) / NOTICES

    def share_done(self, *, env_steps: int, seconds: float) -> float:
        """Return the share of the run that is done, in [0, 1], by whichever limit (time or env steps) is closer."""
        limits = self.settings.stop
        of_minutes = seconds / 60 / limits.minutes if limits.minutes else 0.0
        of_env_steps = env_steps / limits.env_steps if limits.env_steps else 0.0
        return min(1.0, max(of_minutes, of_env_steps))

    def callbacks(self, callbacks_class: Any = NotProvided, **kwargs: Any) -> Self:
        """Add callbacks to ``SelfPlayCallback``, which is always there: without it, the league would not grow.

        Args:
            callbacks_class: a subclass of ``RLlibCallback``, or a list of them. A subclass of ``SelfPlayCallback``
                takes its place.
            kwargs: as in RLlib.

        Raises:
            ConfigError: two subclasses of ``SelfPlayCallback`` are given.
        """
        if callbacks_class is not NotProvided:
            given = [each for each in force_list(callbacks_class) if each is not RLlibCallback]
            league = load_name(_LEAGUE_CALLBACK)
            leagues = {each for each in given if isinstance(each, type) and issubclass(each, league)}
            own = leagues - {league}
            if len(own) > 1:
                raise ConfigError(f"a league grows by one callback: choose one of {', '.join(sorted(map(str, own)))}")
            if own:
                given = [each for each in given if each is not league]
            callbacks_class = given if leagues else [league, *given]
        super().callbacks(callbacks_class, **kwargs)
        return self

    @abstractmethod
    def translate(self, settings: Any) -> None:
        """Translate the algorithm's own sections into RLlib's options."""

    @classmethod
    def from_settings(cls, settings: RunSettings | None = None, *, seed_shift: int = 0) -> Self:
        """Translate ``settings`` (default: all defaults) into an RLlib configuration.

        ``seed_shift``, the iteration of a resumed run, gives it different random numbers from its earlier parts. GPUs
        are those of the Ray that runs; before Ray runs, those of this machine.

        Raises:
            ConfigError: a heuristic is unknown or needs what the stock env runner does not have, or the settings are
                those of another algorithm.
        """
        settings = settings or validate_settings({"algorithm": cls.algorithm})
        if settings.algorithm != cls.algorithm:
            raise ConfigError(
                f"{cls.__name__} was given settings of algorithm={settings.algorithm}: load them with "
                f"algorithm={cls.algorithm}"
            )
        rollout = settings.rollout
        config = cls()
        config.run_settings = settings.model_dump(mode="json")
        game = settings.game.rules
        config.environment(load_name(game.environment), env_config={"game": game.name, "options": dict(game.options)})
        config.disable_env_checking = True  # RLlib's check plays a move on every environment; a test does it instead
        config.env_runners(
            env_runner_cls=config.lockstep_runner if rollout.env_runner == "lockstep" else StockEnvRunner,
            num_env_runners=rollout.env_runners,
            num_envs_per_env_runner=rollout.envs_per_runner,
        )
        config.learners(num_learners=settings.learners)
        place(config, settings)
        specs = module_specs(settings)
        if rollout.env_runner == "stock":
            check_players_see_enough(settings)
        config.rl_module(rl_module_spec=MultiRLModuleSpec(rl_module_specs=specs))
        config.multi_agent(policies=set(specs), policy_mapping_fn=module_of_agent, policies_to_train=[MAIN])
        config.fault_tolerance(patience=settings.fault.patience)
        config.callbacks([])
        config.debugging(seed=(settings.seed + _SEED_STEP * seed_shift) % 2**31, log_level="ERROR")
        config.translate(settings)
        return config

    def league(
        self,
        *,
        folder: str | Path | None = NotProvided,
        restore_from: str | Path | None = NotProvided,
        store: RemoteFolder | None = NotProvided,
    ) -> Self:
        """Set where the league lives.

        Args:
            folder: where snapshots and the manifest are written; by default ``league`` in the trial's folder.
            restore_from: a checkpoint to start from, relative to ``store`` if there is one.
            store: a run's folder in an object store, which takes the place of ``folder``.
        """
        if store is not NotProvided:
            self.league_store = store
        if folder is not NotProvided:
            self.league_folder = None if folder is None else str(Path(folder).resolve())
        if restore_from is not NotProvided:
            start = restore_from if restore_from is None or self.league_store else Path(restore_from).resolve()
            self.restore_from = None if start is None else str(start)
        return self

    def search(self, space: Mapping[str, Any]) -> Self:
        """Let Tune search settings: ``config.search({"network.width": tune.choice([256, 512])})``; calls add up.

        Args:
            space: Tune search spaces by the dotted names of settings, including those of league and network.

        Raises:
            ConfigError: a setting is unknown, has no effect, or cannot be searched.
        """
        for name in space:
            check_setting_name(name, self.settings.algorithm)
            if name == "algorithm":
                raise ConfigError("algorithm cannot be searched: build one configuration per algorithm")
            check_effect(self.settings, name)
        self.searched = {**self.searched, **space}
        self.seed_is_searched |= "seed" in space
        return self

    def validate(self) -> None:
        """Apply the values that Tune drew in a search, then let RLlib validate the configuration.

        Raises:
            ConfigError: a drawn value is out of range.
        """
        self._apply_search()
        super().validate()

    @override
    def shift_seed(self, index: int) -> None:
        """Give trial ``index`` of a search its own random numbers, those of the pool included."""
        super().shift_seed(index)
        self.run_settings = {**self.run_settings, "seed": (self.run_settings["seed"] + index) % 2**31}

    def _apply_search(self) -> None:
        """Translate the settings again with the drawn values; only the options they change are set."""
        values = self.settings.model_dump(mode="json")
        for name, value in self.searched.items():
            set_value(values, name, value)
        before, after = self.settings, validate_settings(values)
        for name in self.searched:
            check_effect(after, name)
        if before == after:
            return
        old, new = (vars(self.from_settings(settings)) for settings in (before, after))
        for name, value in new.items():
            if value != old[name]:
                setattr(self, name, value)


def _trial(algorithm: Any) -> Path:
    """Return the folder of the trial that an algorithm runs in.

    Tune lets a trial work in a temporary folder; files that must persist belong where it stores the trial.
    """
    storage = algorithm._storage  # noqa: SLF001  # Tune offers no other way
    return Path(storage.trial_fs_path if storage else algorithm.logdir)
