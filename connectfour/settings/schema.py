"""The settings of a run, as pydantic models.

``algorithm`` names the learner and thereby the sections of a run: ``RunSettings`` holds the settings of every run, and
each subclass adds the sections of one learner. Field descriptions are the documentation; ``connectfour settings``
prints them. No derived values are stored. ``connectfour.settings.reading`` reads settings.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic.fields import FieldInfo


class Settings(BaseModel):
    """Base of all settings: immutable; unknown keys are rejected."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _read_as_meant(cls, values: Any) -> Any:
        """Read an empty section as all defaults, and 1e6, which is text in YAML 1.1, as a number."""
        if not isinstance(values, dict):
            return values
        return {name: _as_meant(cls.model_fields.get(name), value) for name, value in values.items()}


class NetworkSettings(Settings):
    """The policy and value network."""

    encoder: Literal["lines", "mlp", "resnet"] = Field(
        "lines",
        description="lines: line features through mirror-symmetric layers; mlp: planes through dense layers; "
        "resnet: planes through residual blocks",
    )
    width: int = Field(512, ge=1, description="units per layer, or channels per residual block")
    layers: int = Field(2, ge=1, description="number of layers, or of residual blocks")
    head: Literal["policy", "dueling"] = Field(
        "policy", description="policy: logits and a value (ppo); dueling: Q-values from both heads (apex)"
    )

    @model_validator(mode="after")
    def _width_has_two_halves(self) -> NetworkSettings:
        if self.encoder == "lines" and self.width % 2:
            raise ValueError(f"network.width = {self.width} is odd: the lines encoder needs an even number")
        return self


class RolloutSettings(Settings):
    """How games are played for training."""

    env_runner: Literal["lockstep", "stock"] = Field(
        "lockstep", description="lockstep: all games at once on bitboards; stock: RLlib's env runner on PettingZoo"
    )
    env_runners: int = Field(1, ge=0, description="number of remote env runners; 0: sample in the trainer's process")
    envs_per_runner: int = Field(1024, ge=1, description="games that one env runner plays at once (stock: about 32)")
    overlap: bool = Field(
        True, description="remote lockstep runners sample the next batch while the trainer learns from the previous one"
    )
    mirror_share: float = Field(0.8, ge=0, le=1, description="share of games in which main plays itself")
    mirror_opening_plies: int = Field(32, ge=0, le=40, description="0 to this many random plies open these games")
    pool_opening_plies: int = Field(
        4, ge=0, le=40, description="0 to this many random plies open games against the pool"
    )
    slip_probability: float = Field(
        0.03,
        ge=0,
        le=1,
        description="probability of a random move in main's games against itself; not trained on (lockstep only)",
    )

    def opening_plies(self, *, mirror: bool) -> int:
        """Return the maximum opening length, in plies, of games against itself (``mirror``) or the pool."""
        return self.mirror_opening_plies if mirror else self.pool_opening_plies


class LookaheadSettings(Settings):
    """Targets for policy and value from a one-move lookahead with the network's own value (lockstep only)."""

    share: float = Field(0.35, ge=0, le=1, description="share of main's positions that get these targets; 0: none")
    temperature: float = Field(
        0.12, gt=0, description="temperature applied to the values of next positions; lower favors the best one more"
    )
    weight: float = Field(0.5, ge=0, description="weight of the cross-entropy toward the policy target")
    value_share: float = Field(0.3, ge=0, le=1, description="weight of the best next position in the value target")


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


class DuelingNetworkSettings(NetworkSettings):
    """The Q-network."""

    head: Literal["dueling"] = Field("dueling", description="dueling: Q-values from both heads")


class ActorSettings(RolloutSettings):
    """How games are played for Ape-X's replay."""

    env_runner: Literal["lockstep"] = Field("lockstep", description="lockstep: all games at once on bitboards")
    env_runners: int = Field(1, ge=1, description="number of actors: remote env runners that fill the replay")
    slip_probability: float = Field(
        0.0, ge=0, le=1, description="probability of a random move in main's games against itself, besides exploration"
    )


class ApexSettings(Settings):
    """Ape-X: double Q-learning with separate actors (Horgan et al. 2018)."""

    learning_rate: float = Field(2e-3, gt=0, description="Adam's learning rate at the start")
    learning_rate_end: float = Field(1e-4, gt=0, description="learning rate at the end (see stop); annealed linearly")
    batch_size: int = Field(1024, ge=1, description="transitions per gradient step")
    updates_per_iteration: int = Field(
        32, ge=1, description="gradient steps per iteration, after which the weights are broadcast to the actors"
    )
    n_step: int = Field(1, ge=1, description="plies whose rewards are summed before bootstrapping")
    gamma: float = Field(0.999, gt=0, le=1, description="discount per ply")
    target_every: int = Field(200, ge=1, description="gradient steps between two updates of the target network")
    replay_ratio: float = Field(
        1.0, gt=0, description="how often each transition is learned from on average; whichever side is ahead waits"
    )
    epsilon: float = Field(0.4, ge=0, le=1, description="probability of a random move on the board that explores most")
    epsilon_alpha: float = Field(7.0, ge=0, description="board i of N explores with epsilon^(1 + alpha i / (N - 1))")
    gradient_norm: float = Field(10.0, gt=0, description="global norm that gradients are clipped to")


class ReplaySettings(Settings):
    """Distributed prioritized replay (Schaul et al. 2016)."""

    shards: int = Field(1, ge=1, description="Ray actors that hold the replay")
    capacity: int = Field(2**20, ge=1, description="transitions that all shards hold together")
    learning_starts: int = Field(50_000, ge=1, description="transitions that must have arrived before learning begins")
    alpha: float = Field(0.6, ge=0, description="exponent of priorities; 0: uniform")
    beta: float = Field(
        0.4, ge=0, le=1, description="exponent of importance weights at the start; it reaches 1 at the end (see stop)"
    )
    in_checkpoints: bool = Field(
        False, description="whether checkpoints contain the transitions; otherwise a resumed run fills the replay anew"
    )


def guest_id(spec: str) -> str:
    """Return the id of a guest in the league: ``q0-v0003`` for ``snapshot:runs/q0/v0003``."""
    return "-".join(spec.partition(":")[2].rstrip("/").split("/")[-2:])


class LeagueSettings(Settings):
    """Who plays whom during training, and when main is frozen."""

    heuristics: tuple[str, ...] = Field(
        ("random", "always_same", "beat_last", "linear", "tactical"),
        description="rule-based opponents that the pool starts with",
    )
    guests: tuple[str, ...] = Field(
        (),
        description="frozen policies of other runs, of any algorithm, that stay in the pool from the start: "
        "snapshot:RUN/vN or checkpoint:PATH",
    )
    opponent_count: int = Field(15, ge=2, description="size of the active pool; when full, the oldest member leaves")
    win_rate_threshold: float = Field(
        0.75,
        gt=0,
        le=1,
        description="points per game against the active pool, all opponents weighted equally, at which main is frozen",
    )
    min_games: int = Field(1000, ge=1, description="minimum games against the pool between two freezes")
    newest_threshold: float = Field(
        0.68, ge=0, le=1, description="minimum points per game against each of the newest snapshots for a freeze"
    )
    newest_games: int = Field(400, ge=1, description="minimum games against each of the newest snapshots for a freeze")
    newest_members: int = Field(2, ge=1, description="how many snapshots count as the newest")
    freeze_every: int | None = Field(
        None, ge=1, description="env steps after which main is frozen regardless of its win rate; null: never"
    )
    revival_probability: float = Field(1 / 6, ge=0, le=1, description="chance that a freeze brings back a heuristic")
    matchmaking: Literal["uniform", "pfsp"] = Field("pfsp", description="pfsp: harder opponents get more games")
    pfsp_floor: float = Field(0.3, ge=0, le=1, description="share of games that pfsp spreads evenly over the pool")

    @field_validator("guests")
    @classmethod
    def _guests_are_found_from_anywhere(cls, guests: tuple[str, ...]) -> tuple[str, ...]:
        """Make paths absolute: processes that train have working directories of their own."""
        found = []
        for guest in guests:
            kind, _, path = guest.partition(":")
            if kind not in {"snapshot", "checkpoint"} or not path:
                raise ValueError(f"league.guests names {guest!r}: write snapshot:RUN/vN or checkpoint:PATH")
            found.append(f"{kind}:{Path(path).absolute()}")
        return tuple(found)

    @model_validator(mode="after")
    def _pool_holds_the_heuristics(self) -> LeagueSettings:
        if not self.heuristics:
            raise ValueError("league.heuristics is empty: name at least one, as an opponent until the first freeze")
        if len(set(self.heuristics)) != len(self.heuristics):
            raise ValueError(f"league.heuristics names one twice: {', '.join(self.heuristics)}")
        if len(set(map(guest_id, self.guests))) != len(self.guests):
            raise ValueError(f"league.guests has two with the same name: {', '.join(map(guest_id, self.guests))}")
        if len(self.guests) >= self.opponent_count:
            raise ValueError(
                f"{len(self.guests)} guests leave no room in league.opponent_count = {self.opponent_count}: raise it"
            )
        if len(self.heuristics) + len(self.guests) > self.opponent_count:
            guests = f" and {len(self.guests)} guests" if self.guests else ""
            raise ValueError(
                f"{len(self.heuristics)} heuristics{guests} do not fit into league.opponent_count = "
                f"{self.opponent_count}: raise it or name fewer"
            )
        return self


class StopSettings(Settings):
    """When training ends: at the first of these limits, counted over all parts of a resumed run."""

    minutes: float | None = Field(5.0, gt=0, description="minutes of training")
    env_steps: int | None = Field(None, ge=1, description="env steps")
    league_size: int | None = Field(None, ge=1, description="number of heuristics and snapshots in the league")


class GradingSettings(Settings):
    """How often main is graded on solved positions while it trains (the dev half; never trained on)."""

    every: int = Field(10, ge=0, description="iterations between two gradings; 0: grade only when freezing or saving")


class CheckpointSettings(Settings):
    """RLlib checkpoints, from which a run resumes."""

    every: int = Field(20, ge=1, description="iterations between two checkpoints")
    keep: int = Field(3, ge=1, description="checkpoints to keep: the best by league score and always the newest")


class RunSettings(Settings):
    """The settings of every run, regardless of its algorithm."""

    algorithm: str = Field(description="learning algorithm: ppo or apex")
    seed: int = Field(0, ge=0, lt=2**31, description="random seed")
    threads: int = Field(1, ge=1, description="Torch threads of the trainer")
    learners: int = Field(0, ge=0, description="number of remote learners; 0: learn in the trainer's process")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="dtype of the encoder's arithmetic; auto: bfloat16 where the hardware has it, else float32"
    )
    network: NetworkSettings = NetworkSettings()
    rollout: RolloutSettings = RolloutSettings()
    league: LeagueSettings = LeagueSettings()
    stop: StopSettings = StopSettings()
    grading: GradingSettings = GradingSettings()
    checkpoint: CheckpointSettings = CheckpointSettings()


class PPORunSettings(RunSettings):
    """The settings of a run that trains with PPO."""

    algorithm: Literal["ppo"] = Field("ppo", description="learning algorithm: ppo or apex")
    ppo: PPOSettings = PPOSettings()
    lookahead: LookaheadSettings = LookaheadSettings()

    @model_validator(mode="after")
    def _minibatch_fits(self) -> PPORunSettings:
        if self.ppo.minibatch_size > self.ppo.batch_size:
            raise ValueError(
                f"ppo.minibatch_size = {self.ppo.minibatch_size} is larger than ppo.batch_size = {self.ppo.batch_size}"
            )
        if self.network.head != "policy":
            raise ValueError(f"network.head = {self.network.head} needs algorithm=apex: leave it out")
        return self


class ApexRunSettings(RunSettings):
    """The settings of a run that trains with Ape-X."""

    algorithm: Literal["apex"] = Field("apex", description="learning algorithm: ppo or apex")
    network: DuelingNetworkSettings = DuelingNetworkSettings()
    rollout: ActorSettings = ActorSettings()
    apex: ApexSettings = ApexSettings()
    replay: ReplaySettings = ReplaySettings()

    @model_validator(mode="after")
    def _replay_holds_a_batch(self) -> ApexRunSettings:
        replay, batch = self.replay, self.apex.batch_size
        if replay.capacity < batch:
            raise ValueError(f"replay.capacity = {replay.capacity} is smaller than apex.batch_size = {batch}: raise it")
        if replay.learning_starts > replay.capacity:
            raise ValueError(
                f"replay.learning_starts = {replay.learning_starts} is larger than replay.capacity = "
                f"{replay.capacity}: lower it"
            )
        return self


AnyRunSettings = PPORunSettings | ApexRunSettings
"""All kinds of run settings; a new learner adds one."""


def describe(model: type[Settings], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield ``(dotted name, description)`` of every setting of a run."""
    for name, field in model.model_fields.items():
        section = _section(field)
        if section:
            yield from describe(section, f"{prefix}{name}.")
        else:
            yield prefix + name, field.description or ""


def get_setting(settings: RunSettings, name: str) -> Any:
    """Return a setting or a section by its dotted name."""
    value: Any = settings
    for part in name.split("."):
        value = getattr(value, part)
    return value


def _section(field: FieldInfo | None) -> type[Settings] | None:
    annotation = field.annotation if field else None
    return annotation if isinstance(annotation, type) and issubclass(annotation, Settings) else None


def _as_meant(field: FieldInfo | None, value: Any) -> Any:
    if value is None and _section(field):
        return {}
    if isinstance(value, str) and re.fullmatch(r"[+-]?\d+(\.\d*)?[eE][+-]?\d+", value):
        return float(value)
    return value
