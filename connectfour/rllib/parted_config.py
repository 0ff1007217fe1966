"""``PartedConfig``: the configuration of an algorithm that has parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Self

from ray.rllib.algorithms.algorithm_config import AlgorithmConfig, NotProvided
from typing_extensions import override

from connectfour.rllib.part import Part

_SECONDS_PER_PROBE = 0.2


class PartedConfig(AlgorithmConfig):  # type: ignore[misc]  # Ray's classes are untyped here
    """A configuration that makes the parts of its algorithm.

    Attributes:
        paths: attributes that name places of this machine; checkpoints do not store them.
        patience: seconds without progress after which training saves and ends.
        seed_is_searched: whether Tune chooses the seed.
        trainer_node: id of the node that the trainer must run on; None: any.
        memory_per_env_runner: bytes that Tune reserves for each remote env runner; RLlib has no option for them.
    """

    paths: ClassVar[tuple[str, ...]] = ()
    seed: int | None

    def __init__(self, algo_class: type | None = None) -> None:
        """Wait for env runners that restart, without holding up the learner."""
        super().__init__(algo_class=algo_class)
        self.patience = 120.0
        self.seed_is_searched = False
        self.trainer_node: str | None = None
        self.memory_per_env_runner = 0
        self.restart_failed_env_runners = True
        self.delay_between_env_runner_restarts_s = 1.0
        self.env_runner_health_probe_timeout_s = _SECONDS_PER_PROBE

    @override
    def fault_tolerance(self, *, patience: float = NotProvided, **options: Any) -> Self:
        """Set what happens when processes are lost.

        Args:
            patience: seconds without progress, for example because every env runner restarts, after which training
                saves and ends. An env runner or replay shard that does not answer for so long is restarted.
            options: RLlib's own.
        """
        super().fault_tolerance(**options)
        if patience is not NotProvided:
            self.patience = patience
        return self

    def placement(self, *, trainer_node: str | None) -> Self:
        """Set where the trainer runs: on the node with this id, or None for any node that has what it needs."""
        self.trainer_node = trainer_node
        return self

    @override
    def debugging(self, *, seed: Any = NotProvided, **options: Any) -> Self:
        """Set RLlib's options for debugging.

        Args:
            seed: of all random numbers; each trial of a search adds its index, unless the seed itself is searched.
            options: RLlib's own.
        """
        super().debugging(seed=seed, **options)
        if seed is not NotProvided:
            self.seed_is_searched = not isinstance(seed, int | None)
        return self

    def shift_seed(self, index: int) -> None:
        """Give trial ``index`` of a search its own random numbers."""
        if self.seed is not None:
            self.seed = (self.seed + index) % 2**31

    def scratch(self, algorithm: Any) -> Path | None:
        """Return the folder in which a checkpoint is written before Tune copies it; by default, the system's."""
        return None

    def notices(self, algorithm: Any) -> Path | None:
        """Return the file that gets notices about processes that are lost; by default, they are only logged."""
        return None

    def parts(self, algorithm: Any) -> list[Part]:
        """Make the parts of ``algorithm``, which is not built yet, in the order in which they are called."""
        return []

    def share_done(self, *, env_steps: int, seconds: float) -> float:
        """Return the share of its schedules that a run has done, in [0, 1]."""
        return 0.0
