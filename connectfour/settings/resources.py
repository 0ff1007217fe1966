"""What work asks Ray for: one model for the parts of a run, the games of a ranking and the steps of an experiment."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator

from connectfour.settings.base import Settings
from connectfour.system.need import Amounts, Need

OF_RAY = frozenset({"CPU", "GPU", "memory", "object_store_memory", "bundle"})
"""Names that tags cannot have."""

_BYTES_PER_GB = 1e9


class CoreDemand(Settings):
    """What work without GPUs asks for."""

    num_cpus: float | None = Field(None, ge=0, description="cores")
    memory_gb: float | None = Field(None, gt=0, description="memory in GB; null: not asked for")
    tags: dict[str, float] = Field({}, description="custom resources of Ray, such as {large: 1}")

    def __hash__(self) -> int:
        """Return a hash, although the tags are a dictionary: nothing changes them."""
        return hash(self.model_dump_json())

    @field_validator("tags")
    @classmethod
    def _tags_are_custom(cls, tags: dict[str, float]) -> dict[str, float]:
        for name, amount in tags.items():
            if name in OF_RAY or amount <= 0:
                raise ValueError(f"tags has {name}: {amount:g}: name a custom resource of Ray, and more than 0 of it")
        return tags

    @property
    def amounts(self) -> dict[str, float]:
        """What is asked for, by Ray's name of the resource; memory in bytes."""
        gpus = getattr(self, "num_gpus", None)
        memory = _BYTES_PER_GB * (self.memory_gb or 0)
        named = {"CPU": self.num_cpus or 0.0, "GPU": gpus or 0.0, "memory": memory, **self.tags}
        return {name: amount for name, amount in named.items() if amount}

    def need(self, who: str, setting: str, count: int = 1) -> Need:
        """Return what ``count`` processes of the kind ``who`` need, of which ``setting`` is the section."""
        return Need(who, setting, self.amounts, count)


class LearningDemand(CoreDemand):
    """What a process asks for that learns where there are GPUs."""

    num_gpus: float | None = Field(None, ge=0, description="GPUs; null: as Ray has them")

    @field_validator("num_gpus")
    @classmethod
    def _gpus_are_whole_or_shared(cls, gpus: float | None) -> float | None:
        if gpus is not None and gpus > 1 and gpus % 1:
            raise ValueError(f"num_gpus = {gpus:g} is not allowed: choose a whole number, or a share of one GPU")
        return gpus


class Demand(LearningDemand):
    """What a step of an experiment asks Ray or Kubernetes for."""

    num_cpus: float | None = Field(None, gt=0, description="cores; null: as many as the step can use")
    num_gpus: float = Field(0.0, ge=0, description="GPUs")
    tags: dict[str, float] = Field(
        {}, description="custom resources of Ray, such as {large: 1}; with Argo, labels of nodes, such as large=true"
    )


class TrainerDemand(LearningDemand):
    """What the trainer asks for."""

    num_cpus: float = Field(1.0, gt=0, description="cores of the trainer")
    num_gpus: float | None = Field(
        None, ge=0, description="GPUs of the trainer; null: one, if Ray has one where the trainer can run"
    )
    memory_gb: float | None = Field(None, gt=0, description="memory of the trainer in GB; null: not asked for")
    tags: dict[str, float] = Field({}, description="custom resources of Ray for the trainer, such as {large: 1}")


class LearnerDemand(LearningDemand):
    """What each remote learner asks for."""

    num_cpus: float = Field(1.0, gt=0, description="cores of each remote learner")
    num_gpus: float | None = Field(
        None, ge=0, description="GPUs of each remote learner; null: an equal share of Ray's GPUs, at most one"
    )
    memory_gb: float | None = Field(None, gt=0, description="memory of each remote learner in GB; null: not asked for")
    tags: dict[str, float] = Field({}, description="custom resources of Ray for each remote learner")


class EnvRunnerDemand(Demand):
    """What each remote env runner asks for."""

    num_cpus: float = Field(1.0, gt=0, description="cores of each remote env runner")
    num_gpus: float = Field(0.0, ge=0, description="GPUs of each remote env runner (rollout.env_runner=stock)")
    memory_gb: float | None = Field(None, gt=0, description="memory of each env runner in GB; null: not asked for")
    tags: dict[str, float] = Field({}, description="custom resources of Ray for each remote env runner")


class ReplayDemand(CoreDemand):
    """What each replay shard asks for."""

    num_cpus: float = Field(0.0, ge=0, description="cores of each replay shard, which uses a fraction of one")
    memory_gb: float | None = Field(
        None, gt=0, description="memory of each replay shard in GB; null: that of its transitions, if there are nodes"
    )
    tags: dict[str, float] = Field({}, description="custom resources of Ray for each replay shard")


class MatchDemand(CoreDemand):
    """What each batch of a ranking's games asks for."""

    num_cpus: float = Field(1.0, gt=0, description="cores that each batch of games holds")


class RunResources(Settings):
    """What the processes of a run ask Ray for."""

    trainer: TrainerDemand = TrainerDemand()
    env_runners: EnvRunnerDemand = EnvRunnerDemand()
    learners: LearnerDemand = LearnerDemand()


def actor_options(amounts: Amounts) -> dict[str, Any]:
    """Return the options of a Ray task or actor that asks for ``amounts``, as ``Demand.amounts`` returns them."""
    tags = {name: amount for name, amount in amounts.items() if name not in OF_RAY}
    options: dict[str, Any] = {"num_cpus": amounts.get("CPU", 0), "resources": tags}
    if gpus := amounts.get("GPU"):
        options["num_gpus"] = gpus
    if memory := amounts.get("memory"):
        options["memory"] = int(memory)
    return options
