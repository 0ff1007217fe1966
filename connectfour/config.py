"""The settings of a run: pydantic models, read from YAML, overridden by dotted name.

A field's description is its documentation: ``connectfour settings`` prints them. Nothing derived is stored.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo

from connectfour.errors import ConfigError


class Settings(BaseModel):
    """Base of all settings: immutable, and without room for an unknown key."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _read_as_meant(cls, values: Any) -> Any:
        """Take an empty section for one without settings, and 1e6, which YAML 1.1 takes for text, for a number."""
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
    width: int = Field(512, ge=1, description="units of a layer, or channels of a residual block")
    layers: int = Field(2, ge=1, description="layers, or residual blocks")

    @model_validator(mode="after")
    def _width_has_two_halves(self) -> NetworkSettings:
        if self.encoder == "lines" and self.width % 2:
            raise ValueError(f"network.width = {self.width} is odd: the encoder lines needs an even number")
        return self


class RolloutSettings(Settings):
    """How games are played for training."""

    env_runner: Literal["lockstep", "stock"] = Field(
        "lockstep", description="lockstep: all games at once on bitboards; stock: RLlib's runner on PettingZoo"
    )
    env_runners: int = Field(1, ge=0, description="remote env runners; 0 samples inside the trainer's process")
    envs_per_runner: int = Field(1024, ge=1, description="games at once in one env runner (stock: 32 or so)")
    overlap: bool = Field(
        True, description="remote lockstep runners sample the next batch while the trainer learns from the last"
    )
    mirror_share: float = Field(0.8, ge=0, le=1, description="share of games that main plays against itself")
    mirror_opening_plies: int = Field(32, ge=0, le=40, description="these start after 0 to this many random plies")
    pool_opening_plies: int = Field(4, ge=0, le=40, description="games against the pool start after 0 to this many")
    slip_probability: float = Field(
        0.03,
        ge=0,
        le=1,
        description="chance of a random move in main's games against itself, which nothing is learned from (lockstep)",
    )

    def opening_plies(self, *, mirror: bool) -> int:
        """Return the longest random opening of a game, against itself or against the pool."""
        return self.mirror_opening_plies if mirror else self.pool_opening_plies


class LookaheadSettings(Settings):
    """Targets for policy and value from looking one move ahead with the value of the network itself (lockstep)."""

    share: float = Field(0.35, ge=0, le=1, description="share of main's positions that get these targets; 0: none")
    temperature: float = Field(
        0.12, gt=0, description="of the values of the next positions; small: follow the best one"
    )
    weight: float = Field(0.5, ge=0, description="weight of the cross-entropy towards the policy's target")
    value_share: float = Field(0.3, ge=0, le=1, description="share of the best next position in the value's target")


class PPOSettings(Settings):
    """Proximal policy optimisation (Schulman et al. 2017)."""

    learning_rate: float = Field(3e-3, gt=0, description="step size of Adam at the start")
    learning_rate_end: float = Field(1e-4, gt=0, description="step size when the run reaches a limit of stop, linearly")
    batch_size: int = Field(32768, ge=1, description="env steps sampled for one iteration")
    minibatch_size: int = Field(2048, ge=1, description="samples of main in one gradient step")
    epochs: int = Field(2, ge=1, description="passes over a batch")
    gamma: float = Field(0.997, gt=0, le=1, description="discount per own move")
    gae_lambda: float = Field(0.85, ge=0, le=1, description="lambda of generalised advantage estimation")
    clip: float = Field(0.2, gt=0, description="clipping of the probability ratio")
    entropy: float = Field(0.2, ge=0, description="weight of the entropy bonus at the start")
    entropy_end: float = Field(0.02, ge=0, description="weight when the run reaches a limit of stop, linearly")
    value_loss: float = Field(0.5, ge=0, description="weight of the value loss")
    gradient_norm: float = Field(0.5, gt=0, description="the global norm that gradients are clipped to")


class LeagueSettings(Settings):
    """Who plays whom while training, and when main is frozen."""

    heuristics: tuple[str, ...] = Field(
        ("random", "always_same", "beat_last", "linear", "tactical"),
        description="rule-based opponents that the pool starts with",
    )
    opponent_count: int = Field(15, ge=2, description="size of the active pool; the oldest leaves when it is full")
    win_rate_threshold: float = Field(0.75, gt=0, le=1, description="score against the active pool that freezes main")
    min_games: int = Field(1000, ge=1, description="games against the pool that a freeze needs since the last one")
    revival_probability: float = Field(1 / 6, ge=0, le=1, description="chance that a freeze revives a heuristic")
    matchmaking: Literal["uniform", "pfsp"] = Field("pfsp", description="pfsp: the harder an opponent, the more often")
    pfsp_floor: float = Field(0.3, ge=0, le=1, description="share of games that pfsp spreads evenly over the pool")

    @model_validator(mode="after")
    def _pool_holds_the_heuristics(self) -> LeagueSettings:
        if not self.heuristics:
            raise ValueError("name at least one heuristic: the first snapshot has to beat somebody")
        if len(set(self.heuristics)) != len(self.heuristics):
            raise ValueError(f"{', '.join(self.heuristics)} names a heuristic twice")
        if len(self.heuristics) > self.opponent_count:
            raise ValueError(f"{len(self.heuristics)} heuristics do not fit into {self.opponent_count} opponents")
        return self


class StopSettings(Settings):
    """When training ends: at the first of these limits, counted over all parts of a resumed run."""

    minutes: float | None = Field(5.0, gt=0, description="minutes of training")
    env_steps: int | None = Field(None, ge=1, description="env steps sampled")
    league_size: int | None = Field(None, ge=1, description="members of the league, heuristics and snapshots")


class GradingSettings(Settings):
    """How often main is graded on solved positions while it trains (the dev half; nothing is learned from it)."""

    every: int = Field(
        10, ge=0, description="iterations between two gradings; 0: only what is frozen or saved is graded"
    )


class CheckpointSettings(Settings):
    """RLlib checkpoints, which a run resumes from."""

    every: int = Field(20, ge=1, description="iterations between two checkpoints")
    keep: int = Field(3, ge=1, description="checkpoints kept, the best by league score; the newest always is")


class RunSettings(Settings):
    """Everything that defines a run."""

    seed: int = Field(0, ge=0, lt=2**31, description="seed of all chance")
    threads: int = Field(1, ge=1, description="threads of Torch in the trainer")
    learners: int = Field(0, ge=0, description="remote learners; 0 learns inside the trainer's process")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="of the encoder's arithmetic; auto: bfloat16 where the hardware multiplies it, else float32"
    )
    network: NetworkSettings = NetworkSettings()
    rollout: RolloutSettings = RolloutSettings()
    ppo: PPOSettings = PPOSettings()
    lookahead: LookaheadSettings = LookaheadSettings()
    league: LeagueSettings = LeagueSettings()
    stop: StopSettings = StopSettings()
    grading: GradingSettings = GradingSettings()
    checkpoint: CheckpointSettings = CheckpointSettings()

    @model_validator(mode="after")
    def _minibatch_fits(self) -> RunSettings:
        if self.ppo.minibatch_size > self.ppo.batch_size:
            raise ValueError(
                f"ppo.minibatch_size = {self.ppo.minibatch_size} is larger than ppo.batch_size = {self.ppo.batch_size}"
            )
        return self


def describe(model: type[Settings] = RunSettings, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield ``(dotted name, description)`` of every setting."""
    for name, field in model.model_fields.items():
        section = _section(field)
        if section:
            yield from describe(section, f"{prefix}{name}.")
        else:
            yield prefix + name, field.description or ""


def get_setting(settings: RunSettings, name: str) -> Any:
    """Return a setting or a section of them by its dotted name."""
    value: Any = settings
    for part in name.split("."):
        value = getattr(value, part)
    return value


def load_settings(file: Path | None = None, overrides: Sequence[str] = ()) -> RunSettings:
    """Read settings from a YAML file and apply ``"dotted.name=value"`` overrides; what neither names is default.

    Raises:
        ConfigError: the file cannot be read, a key is unknown or a value out of range; the message names it.
    """
    values = _read_yaml(file) if file else {}
    for override in overrides:
        name, equals, text = override.partition("=")
        if not equals:
            raise ConfigError(f"{override!r} sets nothing: write it as key=value, for example stop.minutes=10")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError:
            raise ConfigError(f"{text!r} is no value for {name}: quote it as YAML wants it") from None
        _set(values, name.strip(), value)
    return validate_settings(values)


def validate_settings(values: dict[str, Any]) -> RunSettings:
    """Build settings from nested plain values.

    Raises:
        ConfigError: a key is unknown or a value out of range; the message names the first one.
    """
    try:
        return RunSettings.model_validate(values)
    except ValidationError as error:
        raise ConfigError(_first_fault(error)) from None


def dump_settings(settings: RunSettings) -> str:
    """Return settings as YAML that ``load_settings`` reads back to the same."""
    return yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False)


def _section(field: FieldInfo | None) -> type[Settings] | None:
    annotation = field.annotation if field else None
    return annotation if isinstance(annotation, type) and issubclass(annotation, Settings) else None


def _as_meant(field: FieldInfo | None, value: Any) -> Any:
    if value is None and _section(field):
        return {}
    if isinstance(value, str) and re.fullmatch(r"[+-]?\d+(\.\d*)?[eE][+-]?\d+", value):
        return float(value)
    return value


def _read_yaml(file: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read {file}: {error.strerror}; check the path and its permissions") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        where = getattr(error, "problem_mark", None)
        line = f" at line {where.line + 1}" if where else ""
        raise ConfigError(f"{file} is not valid YAML{line}: correct it there") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(f"{file} holds a {type(values).__name__} instead of settings: write it as key: value")
    return values


def _set(values: dict[str, Any], name: str, value: Any) -> None:
    *parents, leaf = name.split(".")
    for parent in parents:
        if values.get(parent) is None:
            values[parent] = {}
        values = values[parent]
        if not isinstance(values, dict):
            raise ConfigError(f"{name} cannot be set: {parent} is {values!r} and holds no settings")
    values[leaf] = value


def _unknown(name: str) -> str:
    known = [known_name for known_name, _ in describe()]
    by_leaf = {known_name.rpartition(".")[2]: known_name for known_name in known}
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
    close_leaf = difflib.get_close_matches(name.rpartition(".")[2], by_leaf, n=1, cutoff=0.75)
    nearest = by_leaf[close_leaf[0]] if close_leaf else close[0]
    return f"unknown setting {name!r}: did you mean {nearest!r}? (connectfour settings lists them all)"


def _first_fault(error: ValidationError) -> str:
    faults = error.errors()
    fault = next((each for each in faults if each["type"] == "extra_forbidden"), faults[0])
    name = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        return _unknown(name)
    message = fault["msg"].removeprefix("Value error, ")
    if not name or fault["type"] == "value_error":
        return f"{name}: {message}" if name else message
    value = fault["input"]
    shown = f"{value:g}" if isinstance(value, float) and math.isfinite(value) else repr(value)
    return f"{name} = {shown} is refused: {message[0].lower()}{message[1:]}"
