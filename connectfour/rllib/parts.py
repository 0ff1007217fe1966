"""``PartedAlgorithm``: an algorithm that has parts, such as a league or a replay, which live and are saved with it.

What an algorithm *has* is an object that it holds, not a second parent: the life cycle is defined here alone, and calls
each part at a few named moments.

    setup      the configuration makes the parts ─▶ RLlib builds env runners and learners ─▶ ``built``
    save       ``before_save`` ─▶ RLlib saves its own state and each part's ``get_state`` ─▶ ``saved`` ─▶ seal
    restore    seal and parts ``check`` ─▶ ``before_restore`` ─▶ RLlib restores, then ``set_state`` ─▶ ``restored``
    stop       ``close``

A part may stand on those after it in the list: ``restored`` and ``close`` are called in reverse order.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

from ray.rllib.algorithms.algorithm import Algorithm
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.utils.metrics import ENV_RUNNER_RESULTS, NUM_ENV_STEPS_SAMPLED_LIFETIME
from typing_extensions import override

from connectfour.errors import SnapshotError
from connectfour.system.sealed import fault_in, seal

_TIME = "time_total"


class Part:
    """Something that an algorithm has; by default, it does nothing at any moment.

    Attributes:
        name: the key of its state in checkpoints.
    """

    name: str

    def built(self) -> None:
        """Env runners and learners have been built."""

    def get_state(self) -> Any:
        """Return what checkpoints store; None if there is nothing."""
        return None

    def set_state(self, state: Any) -> None:
        """Load what ``get_state`` returned; RLlib's own state has been loaded."""

    def before_save(self) -> None:
        """A checkpoint is about to be saved."""

    def saved(self, folder: Path) -> None:
        """RLlib has saved its state into ``folder``: files of this part may be added."""

    def facts(self) -> Mapping[str, Any]:
        """Return what the checkpoint's index says about this part."""
        return {}

    def check(self, folder: Path) -> None:
        """Check that the checkpoint in ``folder`` can be restored, and change nothing."""

    def before_restore(self, folder: Path) -> None:
        """The checkpoint in ``folder`` is about to be restored: forget everything that is under way."""

    def restored(self, folder: Path) -> None:
        """RLlib's state and this part's have been restored from ``folder``."""

    def close(self) -> None:
        """The algorithm stops."""


class PartedConfig(AlgorithmConfig):  # type: ignore[misc]  # Ray's classes are untyped here
    """A configuration that makes the parts of its algorithm.

    Attributes:
        paths: attributes that name places of this machine; checkpoints do not store them.
    """

    paths: ClassVar[tuple[str, ...]] = ()

    def parts(self, algorithm: Any) -> list[Part]:
        """Make the parts of ``algorithm``, which is not built yet, in the order in which they are called."""
        return []

    def share_done(self, *, env_steps: int, seconds: float) -> float:
        """Return the share of its schedules that a run has done, in [0, 1]."""
        return 0.0


class PartedAlgorithm(Algorithm):  # type: ignore[misc]  # Ray's classes are untyped here
    """An algorithm with the parts that its configuration, a ``PartedConfig``, makes.

    Mix it in before one of RLlib's own algorithms, or derive from it.

    Attributes:
        config_class: the class of its configuration.
        parts: its parts.
    """

    config_class: ClassVar[type[PartedConfig]]
    parts: list[Part]
    _time_total: float

    @classmethod
    @override
    def get_default_config(cls) -> AlgorithmConfig:
        """Return the default configuration."""
        return cls.config_class()

    @override
    def setup(self, config: AlgorithmConfig) -> None:
        """Make the parts, and build everything."""
        self.parts = []
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
    def save_to_path(self, *args: Any, **kwargs: Any) -> str:
        """Save a checkpoint; its index, written last, lists every file with its hash."""
        for part in self.parts:
            part.before_save()
        path: str = super().save_to_path(*args, **kwargs)
        for part in self.parts:
            part.saved(Path(path))
        facts = {name: value for part in self.parts for name, value in part.facts().items()}
        seal(Path(path), iteration=self.iteration, env_steps=self.env_steps, minutes=self.minutes, **facts)
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
        for part in self.parts:
            part.check(folder)
        for part in self.parts:
            part.before_restore(folder)
        super().restore_from_path(path, *args, component=component, **kwargs)
        for part in reversed(self.parts):
            part.restored(folder)

    @override
    def get_ctor_args_and_kwargs(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments that rebuild the algorithm from a checkpoint: the configuration without paths."""
        (config, *rest), kwargs = super().get_ctor_args_and_kwargs()
        return ({**config, **dict.fromkeys(self.config.paths)}, *rest), kwargs

    @override
    def cleanup(self) -> None:
        """Stop env runners, learners and parts."""
        try:
            super().cleanup()
        finally:
            for part in reversed(self.parts):
                part.close()
