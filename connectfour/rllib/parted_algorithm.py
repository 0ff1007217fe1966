"""``PartedAlgorithm``: an algorithm that has parts, such as a league or a replay, which live and are saved with it.

What an algorithm *has* is an object that it holds, not a second parent: the life cycle is defined here alone, and calls
each part at a few named moments.

    setup      the configuration makes the parts ─▶ RLlib builds env runners and learners ─▶ ``built``
    save       ``before_save`` ─▶ RLlib saves its own state and each part's ``get_state`` ─▶ ``saved`` ─▶ seal
    restore    seal and parts ``check`` ─▶ ``before_restore`` ─▶ RLlib restores, then ``set_state`` ─▶ ``restored``
    restart    env runners are back in service ─▶ ``revived``
    stop       ``stopping`` ─▶ RLlib stops env runners and learners ─▶ ``close``

A part may stand on those after it in the list: ``restored``, ``stopping`` and ``close`` are called in
reverse order.
"""

from __future__ import annotations

import re
import time
import zlib
from abc import abstractmethod
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

from ray.rllib.algorithms.algorithm import Algorithm
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.env.env_runner_group import EnvRunnerGroup
from ray.rllib.utils.metrics import ENV_RUNNER_RESULTS, NUM_ENV_STEPS_SAMPLED_LIFETIME
from ray.tune import PlacementGroupFactory
from ray.tune.result import SHOULD_CHECKPOINT, TRIAL_INFO
from typing_extensions import override

from connectfour.errors import ConfigError, ConnectFourError, GameError, NoProgressError, SnapshotError
from connectfour.rllib.part import Part
from connectfour.rllib.parted_config import PartedConfig
from connectfour.rllib.patience import Patience
from connectfour.system.notices import Notices
from connectfour.system.sealed import fault_in, seal

ENDED = "ended"
"""Key of a result that is no iteration: Tune saves a checkpoint with it, then training ends with this sentence."""

SCRATCH = ".saving-"
"""Prefix of the folders in which a checkpoint is written before Tune copies it."""

_TIME = "time_total"
_NODE_LABEL = "ray.io/node-id"
_SECONDS_PER_PROBE = 0.2


class PartedAlgorithm(Algorithm):  # type: ignore[misc]  # Ray's classes are untyped here
    """An algorithm with the parts that its configuration, a ``PartedConfig``, makes.

    Mix it in before one of RLlib's own algorithms, or derive from it.

    Attributes:
        config_class: the class of its configuration.
        parts: its parts.
        patience: ends training that makes no progress.
    """

    config_class: ClassVar[type[PartedConfig]]
    config: Any
    parts: list[Part]
    patience: Patience
    _time_total: float
    _end: ConnectFourError | None = None
    _saved_at = 0

    def __init__(self, config: Any = None, *args: Any, **kwargs: Any) -> None:
        """Build the algorithm; RLlib drops Tune's description of the trial, so it is read here."""
        trial = config.get(TRIAL_INFO) if isinstance(config, dict) else None
        self._trial: str = trial.trial_id if trial else ""
        super().__init__(config, *args, **kwargs)

    @classmethod
    @override
    def get_default_config(cls) -> AlgorithmConfig:
        """Return the default configuration."""
        return cls.config_class()

    @classmethod
    @override
    def default_resource_request(cls, config: Any) -> Any:
        """Return what Tune reserves: the trainer, on its node if it has one, then env runners, then learners."""
        request = super().default_resource_request(config)
        full = cls.get_default_config().update_from_dict(config)
        bundles = [dict(bundle) for bundle in request.bundles]
        for bundle in bundles[1 : 1 + full.num_env_runners] if full.memory_per_env_runner else ():
            bundle["memory"] = full.memory_per_env_runner
        if full.trainer_node is None:
            return PlacementGroupFactory(bundles, request.strategy)
        selectors = [{_NODE_LABEL: full.trainer_node}, *({} for _ in bundles[1:])]
        return PlacementGroupFactory(bundles, request.strategy, bundle_label_selector=selectors)

    @override
    def setup(self, config: AlgorithmConfig) -> None:
        """Make the parts, and build everything."""
        self.parts = []
        self._notices: Notices | None = None
        self._take_own_seed()
        self.patience = Patience(self.config.patience, self.say)
        try:
            self.parts = self.config.parts(self)
            super().setup(config)
            for part in self.parts:
                part.built()
        except BaseException:
            # Whoever asked for the impossible may ask again: nothing stays locked or alive.
            with suppress(Exception):
                self.cleanup()
            raise

    def _take_own_seed(self) -> None:
        """Shift the seed by the trial's index, which ends Tune's id of a trial, or by the id if it has none."""
        if self._trial and not self.config.seed_is_searched:
            number = re.search(r"_(\d+)$", self._trial)
            self.config = self.config.copy(copy_frozen=False)
            self.config.shift_seed(int(number[1]) if number else zlib.crc32(self._trial.encode()))
            self.config.freeze()

    def say(self, sentence: str) -> None:
        """Tell whoever watches this training run."""
        if self._notices is None:
            self._notices = Notices(self.config.notices(self))
        self._notices.say(sentence)

    @abstractmethod
    def advance(self) -> bool:
        """Sample or learn, and return whether anything was sampled or learned."""

    @abstractmethod
    def trouble(self) -> str:
        """Return why ``advance`` did nothing, as half a sentence."""

    @override
    def training_step(self) -> None:
        """Advance; while nothing can be sampled or learned, wait for env runners that restart.

        Raises:
            NoProgressError: the wait has been longer than the configuration's ``patience``.
        """
        self.patience.progressed()
        while not self.advance():
            self.patience.check(self.trouble())
            time.sleep(_SECONDS_PER_PROBE)
            self.revive()

    def revive(self) -> None:
        """Bring restarted env runners back into service, as RLlib does before each training step."""
        revived = self.restore_env_runners(self.env_runner_group)
        if revived:
            self._make_on_env_runners_recreated_callbacks(
                config=self.config,
                env_runner_group=self.env_runner_group,
                restored_env_runner_indices=revived,
            )

    @override
    def restore_env_runners(self, env_runner_group: EnvRunnerGroup) -> list[int]:
        """Bring restarted env runners back into service."""
        revived: list[int] = super().restore_env_runners(env_runner_group)
        if revived and env_runner_group is self.env_runner_group:
            for part in self.parts:
                part.revived(revived)
        return revived

    @override
    def step(self) -> dict[str, Any]:
        """Run one iteration.

        When training has waited in vain, or a user's game or player is at fault, Tune gets the previous result once
        more, marked as ``ENDED``, so that it saves what is not saved yet; the next call raises.
        """
        if self._end is not None:
            raise self._end
        try:
            result: dict[str, Any] = super().step()
        except (NoProgressError, GameError, ConfigError) as end:
            if self._storage is None or self._saved_at == self.iteration or not self._last_result:
                raise
            self._end = end
            self._iteration -= 1
            return {**self._last_result, "time_this_iter_s": None, SHOULD_CHECKPOINT: True, ENDED: str(end)}
        return result

    @override
    def log_result(self, result: dict[str, Any]) -> None:
        """Call the callbacks, unless this is no iteration."""
        if ENDED not in result:
            super().log_result(result)

    @property
    def env_steps(self) -> int:
        """Env steps sampled since training began, over all its parts."""
        return int(self.metrics.peek((ENV_RUNNER_RESULTS, NUM_ENV_STEPS_SAMPLED_LIFETIME), default=0))

    @property
    def minutes(self) -> float:
        """Minutes of training, over all its parts."""
        return self._time_total / 60

    @property
    def share_done(self) -> float:
        """The share of its schedules that is done, in [0, 1]."""
        return float(self.config.share_done(env_steps=self.env_steps, seconds=self._time_total))

    @override
    def get_state(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Return RLlib's state with that of the parts."""
        state: dict[str, Any] = super().get_state(*args, **kwargs)
        states = {part.name: part.get_state() for part in self.parts}
        return {
            **state,
            **{name: each for name, each in states.items() if each is not None},
            _TIME: self._time_total,
        }

    @override
    def set_state(self, state: dict[str, Any]) -> None:
        """Load what ``get_state`` returned."""
        super().set_state(state)
        self._time_total = state.get(_TIME, self._time_total)
        for part in self.parts:
            if part.name in state:
                part.set_state(state[part.name])

    @override
    def save(self, checkpoint_dir: str | None = None) -> Any:
        """Save a checkpoint for Tune, which copies it into its storage."""
        scratch = self.config.scratch(self)
        if checkpoint_dir is not None or self._storage is None or scratch is None:
            return super().save(checkpoint_dir)
        with TemporaryDirectory(prefix=SCRATCH, dir=scratch) as folder:
            return super().save(folder)

    @override
    def save_to_path(self, *args: Any, **kwargs: Any) -> str:
        """Save a checkpoint; its index, written last, lists every file with its hash."""
        for part in self.parts:
            part.before_save()
        path: str = super().save_to_path(*args, **kwargs)
        for part in self.parts:
            part.saved(Path(path))
        facts = {name: value for part in self.parts for name, value in part.facts().items()}
        seal(Path(path), iteration=self.iteration, env_steps=self.env_steps, minutes=self.minutes, **facts)
        self._saved_at = self.iteration
        return path

    @override
    def restore_from_path(self, path: str | Path, *args: Any, component: str | None = None, **kwargs: Any) -> None:
        """Restore a checkpoint after checking that it is whole; as in RLlib, ``component`` restores a part of one.

        Raises:
            SnapshotError: a file is missing or damaged.
        """
        folder = Path(path)
        fault = fault_in(folder)
        if fault and component is None:
            raise SnapshotError(f"the checkpoint {folder} cannot be restored, {fault}: use another one")
        self._end = None
        for part in self.parts:
            part.check(folder)
        for part in self.parts:
            part.before_restore(folder)
        super().restore_from_path(path, *args, component=component, **kwargs)
        for part in reversed(self.parts):
            part.restored(folder)
        self._saved_at = self.iteration

    @override
    def get_ctor_args_and_kwargs(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments that rebuild the algorithm from a checkpoint: the configuration without paths."""
        (config, *rest), kwargs = super().get_ctor_args_and_kwargs()
        return ({**config, **dict.fromkeys(self.config.paths)}, *rest), kwargs

    @override
    def cleanup(self) -> None:
        """Stop env runners, learners and parts."""
        try:
            for part in reversed(self.parts):
                part.stopping()
            super().cleanup()
        finally:
            for part in reversed(self.parts):
                part.close()
