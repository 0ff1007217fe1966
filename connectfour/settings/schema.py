"""The settings of a run, as pydantic models.

``algorithm`` names the learner and thereby the sections of a run: ``RunSettings`` holds the settings of every run, and
each learner's folder has a subclass with its own sections, which also says what the learner reports and how much memory
it takes. Field descriptions are the documentation; ``connectfour settings`` prints them. No derived values are stored.
``connectfour.settings.reading`` reads settings.
"""

from __future__ import annotations

from copy import deepcopy
from math import ceil
from typing import Any, ClassVar, Literal, NamedTuple

from pydantic import Field, model_validator

from connectfour.games.contract import Game
from connectfour.games.registry import DEFAULT
from connectfour.settings.base import Settings
from connectfour.settings.game import GameSettings
from connectfour.settings.league import HEURISTIC, LeagueSettings
from connectfour.settings.network import Architecture, Head, NetworkSettings
from connectfour.settings.resources import RunResources
from connectfour.system.need import Need


class RolloutSettings(Settings):
    """How games are played for training."""

    env_runner: Literal["lockstep", "stock"] = Field(
        "lockstep", description="lockstep: all games at once; stock: RLlib's own, one environment per game"
    )
    env_runners: int = Field(1, ge=0, description="number of remote env runners; 0: sample in the trainer's process")
    envs_per_runner: int = Field(1024, ge=1, description="games that one env runner plays at once (stock: about 32)")
    overlap: bool = Field(
        True, description="remote lockstep runners sample the next batch while the trainer learns from the previous one"
    )
    mirror_share: float = Field(0.8, ge=0, le=1, description="share of games in which main plays itself")
    mirror_opening_plies: int = Field(32, ge=0, description="0 to this many random plies open these games")
    pool_opening_plies: int = Field(4, ge=0, description="0 to this many random plies open games against the pool")
    slip_probability: float = Field(
        0.03,
        ge=0,
        le=1,
        description="probability of a random move in main's games against itself; not trained on (lockstep only)",
    )

    def opening_plies(self, *, mirror: bool) -> int:
        """Return the maximum opening length, in plies, of games against itself (``mirror``) or the pool."""
        return self.mirror_opening_plies if mirror else self.pool_opening_plies


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
    game: GameSettings = GameSettings()
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

    @model_validator(mode="before")
    @classmethod
    def _defaults_follow_the_game(cls, values: Any) -> Any:
        """Fill in what has another default in this game."""
        if not isinstance(values, dict) or values.get("game") in (None, DEFAULT, {}):
            return values
        game = GameSettings.model_validate(values["game"]).rules
        filled = deepcopy(values)
        if game.name == DEFAULT:
            return filled
        for section, defaults in cls._defaults_of(game).items():
            given = filled.get(section) or {}
            if section not in cls.model_fields or not isinstance(given, dict):
                continue
            earlier = given.keys() & {"heuristics", "guests"}  # the names of earlier releases
            filled[section] = {**({"heuristics": game.heuristics} if earlier else defaults), **given}
        return filled

    @classmethod
    def _defaults_of(cls, game: Game) -> dict[str, dict[str, Any]]:
        """Return the settings that have another default in ``game``, by section."""
        network = {"encoder": game.encoder}
        league = {"opponents": [f"{HEURISTIC}{name}" for name in game.heuristics]}
        longest = max(0, game.max_plies - 2)
        rollout = {"mirror_opening_plies": min(4, longest), "pool_opening_plies": min(2, longest)}
        found: dict[str, dict[str, Any]] = {"network": network, "league": league, "rollout": rollout}
        for section, values in game.settings.items():
            found[section] = {**found.get(section, {}), **values}
        return found

    @model_validator(mode="after")
    def _game_fits(self) -> RunSettings:
        """Check what depends on the game."""
        game, network = self.game.rules, self.network
        most = game.max_plies - 2
        for name in ("mirror_opening_plies", "pool_opening_plies"):
            if getattr(self.rollout, name) > max(0, most):
                raise ValueError(
                    f"rollout.{name} = {getattr(self.rollout, name)} is not allowed: a game of {game.name} has at most "
                    f"{game.max_plies} plies, so choose 0 to {max(0, most)}"
                )
        if network.encoder == "lines" and game.name != DEFAULT:
            raise ValueError(f"network.encoder = lines knows Connect Four, not {game.name}: choose mlp or resnet")
        if network.encoder == "resnet" and len(game.observation_shape) != 3:
            raise ValueError(
                f"network.encoder = resnet needs planes of rows and columns, and {game.name} has observations of shape "
                f"{game.observation_shape}: choose mlp"
            )
        if network.symmetric and not game.symmetries:
            raise ValueError(f"network.symmetric needs symmetries, and {game.name} names none: set it to false")
        return self

    @property
    def architecture(self) -> Architecture:
        """The network with the head that the algorithm needs."""
        shape = self.network.model_dump(exclude={"start_from"})
        return Architecture(**shape, head=self.head, game=self.game)

    @property
    def units_per_layer(self) -> int:
        """What a layer of the network computes for a position, in numbers."""
        images = len(self.game.rules.symmetries) if self.network.symmetric else 1
        return images * self.network.width

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
