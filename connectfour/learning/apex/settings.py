"""The settings of a run that trains with Ape-X, and what this learner reports and needs."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from connectfour.apex.options import ApexOptions, ReplayOptions, check_fit
from connectfour.settings.network import Head
from connectfour.settings.resources import ReplayDemand, RunResources
from connectfour.settings.schema import Metric, RolloutSettings, RunSettings
from connectfour.system.need import Need

# Action, return, discount, number, and two nodes of the sum tree.
_BYTES_WITHOUT_POSITIONS = 1 + 4 + 4 + 8 + 2 * 8


class ActorSettings(RolloutSettings):
    """How games are played for Ape-X's replay."""

    env_runner: Literal["lockstep"] = Field("lockstep", description="lockstep: all games at once")
    env_runners: int = Field(1, ge=1, description="number of actors: remote env runners that fill the replay")
    slip_probability: float = Field(
        0.0, ge=0, le=1, description="probability of a random move in main's games against itself, besides exploration"
    )


class ApexSettings(ApexOptions):
    """Ape-X: double Q-learning with separate actors (Horgan et al. 2018)."""

    learning_rate: float = Field(2e-3, gt=0, description="Adam's learning rate at the start")
    learning_rate_end: float = Field(1e-4, gt=0, description="learning rate at the end (see stop); annealed linearly")
    gamma: float = Field(0.999, gt=0, le=1, description="discount per ply")
    gradient_norm: float = Field(10.0, gt=0, description="global norm that gradients are clipped to")


class ApexResources(RunResources):
    """What the processes of a run with Ape-X ask Ray for."""

    replay: ReplayDemand = ReplayDemand()


class ApexRunSettings(RunSettings):
    """The settings of a run that trains with Ape-X."""

    configuration: ClassVar[str] = "connectfour.learning.apex.algorithm:SelfPlayApexConfig"
    head: ClassVar[Head] = "dueling"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("q_loss", "q_loss", "Q loss", ".4f"),
        Metric("td_error", "td_error", "TD error", ".3f", axis="mean absolute\nTD error"),
    )

    algorithm: Literal["apex"] = Field("apex", description="learning algorithm: ppo or apex")
    rollout: ActorSettings = ActorSettings()
    apex: ApexSettings = ApexSettings()
    replay: ReplayOptions = ReplayOptions()
    resources: ApexResources = ApexResources()

    @model_validator(mode="after")
    def _replay_fits(self) -> ApexRunSettings:
        check_fit(self.apex, self.replay)
        return self

    @property
    def learning_bytes(self) -> int:
        """Bytes of the replay, of a batch, and of the activations of a gradient step."""
        apex, network = self.apex, self.network
        transitions = self.replay.capacity + apex.batch_size * apex.updates_per_iteration
        return transitions * self._bytes_per_transition + 4 * apex.batch_size * network.layers * self.units_per_layer

    @property
    def _bytes_per_transition(self) -> int:
        """Bytes of a transition in the replay, with two packed positions."""
        return 2 * self.game.rules.packed.nbytes + _BYTES_WITHOUT_POSITIONS

    @property
    def bytes_per_shard(self) -> int:
        """Bytes of the transitions that a full replay shard holds."""
        return self._bytes_per_transition * max(1, self.replay.capacity // self.replay.shards)

    @property
    def needs(self) -> tuple[Need, ...]:
        """What the run's processes ask Ray for, replay shards included."""
        shard = self.resources.replay.need("replay shard", "resources.replay", self.replay.shards)
        return (*super().needs, shard) if shard.amounts else super().needs

    @property
    def idle(self) -> dict[str, str]:
        """Actors and learner always work at the same time."""
        return {**super().idle, "rollout.overlap": "Ape-X's actors and learner always overlap"}
