"""The settings of a run that trains with PPO, and what this learner reports and needs."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from connectfour.games.contract import Game
from connectfour.settings.base import Settings
from connectfour.settings.schema import Metric, RunSettings

# What a position has besides its packed form and its logits, as recorded and as a sample.
_OTHER_BYTES = 20
# The columns of a training sample besides observation and policy target.
_COLUMN_BYTES = 32


class PPOSettings(Settings):
    """Proximal policy optimization (Schulman et al. 2017)."""

    learning_rate: float = Field(3e-3, gt=0, description="Adam's learning rate at the start")
    learning_rate_end: float = Field(1e-4, gt=0, description="learning rate at the end (see stop); annealed linearly")
    batch_size: int = Field(32768, ge=1, description="env steps per iteration")
    minibatch_size: int = Field(2048, ge=1, description="samples per gradient step")
    epochs: int = Field(2, ge=1, description="passes over a batch")
    gamma: float = Field(0.997, gt=0, le=1, description="discount per move of the same player")
    gae_lambda: float = Field(0.85, ge=0, le=1, description="lambda of generalized advantage estimation")
    clip: float = Field(0.2, gt=0, description="clip range of the probability ratio")
    entropy: float = Field(0.2, ge=0, description="weight of the entropy bonus at the start")
    entropy_end: float = Field(0.02, ge=0, description="weight at the end (see stop); annealed linearly")
    value_loss: float = Field(0.5, ge=0, description="weight of the value loss")
    gradient_norm: float = Field(0.5, gt=0, description="global norm that gradients are clipped to")


class LookaheadSettings(Settings):
    """Targets for policy and value from a one-move lookahead with the network's own value (lockstep only)."""

    share: float = Field(0.35, ge=0, le=1, description="share of main's positions that get these targets; 0: none")
    temperature: float = Field(
        0.12, gt=0, description="temperature applied to the values of next positions; lower favors the best one more"
    )
    weight: float = Field(0.5, ge=0, description="weight of the cross-entropy toward the policy target")
    value_share: float = Field(0.3, ge=0, le=1, description="weight of the best next position in the value target")


class PPORunSettings(RunSettings):
    """The settings of a run that trains with PPO."""

    configuration: ClassVar[str] = "connectfour.learning.ppo.algorithm:SelfPlayPPOConfig"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("policy_loss", "policy_loss", "policy loss", "+.3f"),
        Metric("value_loss", "vf_loss", "value loss", ".3f"),
        Metric("entropy", "entropy", "entropy", ".2f", axis="policy entropy\n(nats)"),
    )

    algorithm: Literal["ppo"] = Field("ppo", description="learning algorithm: ppo or apex")
    ppo: PPOSettings = PPOSettings()
    lookahead: LookaheadSettings = LookaheadSettings()

    @model_validator(mode="after")
    def _minibatch_fits(self) -> PPORunSettings:
        if self.ppo.minibatch_size > self.ppo.batch_size:
            raise ValueError(
                f"ppo.minibatch_size = {self.ppo.minibatch_size} is larger than ppo.batch_size = {self.ppo.batch_size}"
            )
        return self

    @classmethod
    def _defaults_of(cls, game: Game) -> dict[str, dict[str, Any]]:
        found = super()._defaults_of(game)
        if not game.searchable:
            found["lookahead"] = {"share": 0.0, **found.get("lookahead", {})}
        return found

    @model_validator(mode="after")
    def _lookahead_fits(self) -> PPORunSettings:
        if self.lookahead.share and not self.game.rules.searchable:
            raise ValueError(
                f"lookahead.share = {self.lookahead.share:g} needs the positions after each action, which "
                f"{self.game.name} does not tell: set it to 0"
            )
        return self

    @property
    def learning_bytes(self) -> int:
        """Bytes of a batch, and of the activations of a gradient step."""
        rollout, network, game = self.rollout, self.network, self.game.rules
        recorded = 2 * (game.packed.nbytes + 4 * game.actions + _OTHER_BYTES)
        learned = game.observation_bytes + 5 * game.actions + _COLUMN_BYTES
        positions = max(self.ppo.batch_size, max(1, rollout.env_runners) * rollout.envs_per_runner)
        minibatch = min(self.ppo.minibatch_size, positions)
        return positions * (recorded + learned) + 4 * minibatch * network.layers * self.units_per_layer

    @property
    def idle(self) -> dict[str, str]:
        """RLlib's own runner neither looks ahead nor slips nor samples ahead."""
        if self.rollout.env_runner != "stock":
            return super().idle
        reason = "it needs rollout.env_runner=lockstep"
        names = ("lookahead", "rollout.slip_probability", "rollout.overlap")
        return {**super().idle, **dict.fromkeys(names, reason)}
