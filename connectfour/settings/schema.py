"""The settings of a run, as pydantic models.

``algorithm`` names the learner and thereby the sections of a run: ``RunSettings`` holds the settings of every run, and
each learner's folder has a subclass with its own sections, which also says what the learner reports and how much memory
it takes. Field descriptions are the documentation; ``connectfour settings`` prints them. No derived values are stored.
``connectfour.settings.reading`` reads settings.
"""

from __future__ import annotations

from math import ceil
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple

from pydantic import Field, field_validator, model_validator

from connectfour.settings.base import Settings
from connectfour.settings.resources import RunResources
from connectfour.storage.address import is_remote
from connectfour.system.need import Need

Head = Literal["policy", "dueling"]
"""``policy``: logits and a value. ``dueling``: Q-values from a value and advantages."""


class NetworkSettings(Settings):
    """The network of main and of its frozen copies."""

    encoder: Literal["lines", "mlp", "resnet"] = Field(
        "lines",
        description="lines: line features through mirror-symmetric layers; mlp: planes through dense layers; "
        "resnet: planes through residual blocks",
    )
    width: int = Field(512, ge=1, description="units per layer, or channels per residual block")
    layers: int = Field(2, ge=1, description="number of layers, or of residual blocks")

    @model_validator(mode="after")
    def _width_has_two_halves(self) -> NetworkSettings:
        if self.encoder == "lines" and self.width % 2:
            raise ValueError(f"network.width = {self.width} is odd: the lines encoder needs an even number")
        return self


class Architecture(NetworkSettings):
    """A network with its head: what snapshots record, and what rebuilds the network.

    The head follows from the algorithm that trains the network.
    """

    head: Head = "policy"


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
        0.7,
        gt=0,
        le=1,
        description="points per game against the active pool, all opponents weighted equally, above which main is "
        "frozen",
    )
    min_games: int = Field(1000, ge=1, description="minimum games against the pool between two freezes")
    newest_threshold: float = Field(
        0.62, ge=0, le=1, description="points per game against each of the newest snapshots above which main is frozen"
    )
    newest_games: int = Field(400, ge=1, description="latest games against an opponent that main's score counts")
    newest_members: int = Field(2, ge=1, description="how many snapshots count as the newest")
    freeze_error: float = Field(
        0.05,
        gt=0,
        le=1,
        description="probability that main passes one of these thresholds although its score was never above it; "
        "1: no evidence is asked for",
    )
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
            found.append(guest if is_remote(path) else f"{kind}:{Path(path).absolute()}")
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
    minutes: float = Field(2.0, gt=0, description="minutes after which a checkpoint is due, whatever the iterations")
    keep: int = Field(
        3,
        ge=1,
        description="checkpoints to keep in all parts of a run: the newest and the best by league score, first of all "
        "those of the part that trains",
    )
    history: int = Field(
        0,
        ge=0,
        description="copies of main's policy to keep, evenly over the run (see stop), to be evaluated as "
        "snapshot:RUN/main@ITERATION; 0: none",
    )


class FaultSettings(Settings):
    """What happens when processes are lost."""

    patience: float = Field(
        120.0,
        gt=0,
        description="seconds that training waits without any progress, for example for env runners that restart, "
        "before it saves a checkpoint and ends",
    )


class Metric(NamedTuple):
    """What a learner reports every iteration.

    Attributes:
        column: its column in ``progress.csv``.
        key: its key among RLlib's learner results of main.
        label: its name in log lines and tables.
        form: its format there.
        axis: its axis in the learning curves; None if it is not drawn.
    """

    column: str
    key: str
    label: str
    form: str
    axis: str | None = None


class RunSettings(Settings):
    """The settings of every run, regardless of its algorithm; a learner's subclass adds sections and describes it.

    Attributes:
        configuration: the learner's RLlib configuration, as ``module:class``.
        head: the head of its network.
        metrics: what it reports.
    """

    configuration: ClassVar[str]
    head: ClassVar[Head] = "policy"
    metrics: ClassVar[tuple[Metric, ...]] = ()

    algorithm: str = Field(description="learning algorithm: ppo or apex")
    storage: Literal["machine", "shared"] = Field(
        "machine",
        description="who sees the run's folder. machine: this machine alone, on which the trainer then runs; shared: "
        "every node of the cluster, so the trainer runs on any of them. A run in an object store is seen by all",
    )
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
    fault: FaultSettings = FaultSettings()
    resources: RunResources = RunResources()

    @property
    def architecture(self) -> Architecture:
        """The network with the head that the algorithm needs."""
        return Architecture(**self.network.model_dump(), head=self.head)

    @property
    def needs(self) -> tuple[Need, ...]:
        """What the run's processes ask Ray for; GPUs that depend on what Ray has are left out."""
        parts, runners = self.resources, self.rollout.env_runners
        found = [parts.trainer.need("trainer", "resources.trainer")]
        found += [parts.env_runners.need("env runner", "resources.env_runners", runners)] if runners else []
        found += [parts.learners.need("learner", "resources.learners", self.learners)] if self.learners else []
        return tuple(found)

    @property
    def cores(self) -> int:
        """Logical cores that Ray must offer to all processes of the run."""
        return ceil(self._needed("CPU"))

    @property
    def gpus(self) -> float:
        """GPUs that the run's processes ask for; 0 if it takes one where there is one."""
        return self._needed("GPU")

    def _needed(self, resource: str) -> float:
        return sum(need.count * need.amounts.get(resource, 0.0) for need in self.needs)

    @property
    def learning_bytes(self) -> int:
        """A rough lower bound on the memory that holds samples and activations, in bytes."""
        return 0

    @property
    def idle(self) -> dict[str, str]:
        """Settings that do nothing in this run, by dotted name or section, with the reason."""
        found = {}
        if self.rollout.env_runners == 0:
            found["resources.env_runners"] = "with rollout.env_runners=0 the trainer samples"
        elif self.rollout.env_runner == "lockstep":
            found["resources.env_runners.num_gpus"] = "lockstep env runners compute on cores"
        if self.learners == 0:
            found["resources.learners"] = "with learners=0 the trainer learns"
        else:
            found["resources.trainer.num_gpus"] = f"with learners={self.learners} they learn, not the trainer"
        return found
