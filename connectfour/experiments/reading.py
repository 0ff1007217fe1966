"""Experiments from YAML files: their settings, and those of each variant's runs."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from connectfour.errors import ConfigError, ExperimentError
from connectfour.experiments.condition import Condition
from connectfour.experiments.layout import ExperimentFolder
from connectfour.experiments.metrics import check_metric, training_metrics
from connectfour.experiments.schema import NAME, ExperimentSettings
from connectfour.games.registry import DEFAULT
from connectfour.grading.positions import HALVES, load_positions
from connectfour.players.names import encode_player
from connectfour.settings.describing import describe
from connectfour.settings.reading import dump_settings, flat, load_settings, parse_override, read_yaml, set_value


@dataclass(frozen=True)
class Variant:
    """What all runs of a variant have in common.

    Attributes:
        name: its name.
        changes: the settings in which it differs, by dotted name.
        settings: the settings of its runs, the ``RunSettings`` of its algorithm, which keep copies of main to be
            evaluated; each run has its own seed.
    """

    name: str
    changes: Mapping[str, Any]
    settings: Any


@dataclass(frozen=True)
class Experiment:
    """An experiment, ready to run.

    Attributes:
        name: its name.
        settings: what its file says.
        variants: the variants with the settings of their runs.
    """

    name: str
    settings: ExperimentSettings
    variants: tuple[Variant, ...]

    @property
    def seeds(self) -> range:
        """The seed of each run of a variant."""
        first = self.settings.first_seed
        return range(first, first + self.settings.runs)

    def dump(self) -> str:
        """Return it as YAML: what the report says, and what tells it from another experiment."""
        values = self.settings.model_dump(mode="json", exclude={"config", "variants", "grid"})
        variants = {variant.name: dict(variant.changes) for variant in self.variants}
        return yaml.safe_dump({"name": self.name, **values, "variants": variants}, sort_keys=False)

    def pack(self) -> str:
        """Return it as an experiment file that needs no other: it also holds all settings of each variant's runs."""
        configs = {variant.name: yaml.safe_load(dump_settings(variant.settings)) for variant in self.variants}
        return yaml.safe_dump({**yaml.safe_load(self.dump()), _CONFIGS: configs}, sort_keys=False)


_CONFIGS = "configs"
"""Key of a packed experiment: by variant, all settings of its runs."""


def read_experiment(file: Path, overrides: Sequence[str] = (), name: str | None = None) -> Experiment:
    """Read an experiment from a file.

    Args:
        file: the experiment file, as a user or ``Experiment.pack`` wrote it.
        overrides: ``"dotted.name=value"``, which take precedence over it; those of runs begin with ``train.``.
        name: by default, the name of the file, or that of the packed experiment.

    Raises:
        ConfigError: the file cannot be read, a key is unknown, a value is not allowed, or a setting does nothing. The
            message names it.
        PlayerError: an opponent does not exist.
    """
    values = read_yaml(file)
    config_of = _configs_beside(file)
    if _CONFIGS in values:
        config_of = _packed_configs(values.pop(_CONFIGS), file)
        name = name or str(values.pop("name", file.stem))
        values.pop("name", None)
    for override in overrides:
        key, value = parse_override(override)
        if key.startswith("train."):
            train = values.get("train") or {}
            if not isinstance(train, dict):
                raise ConfigError(f"{file}: train is {train!r}, not settings: write it as key: value")
            values["train"] = {**train, key.removeprefix("train."): value}
        else:
            set_value(values, key, value)
    settings = _from_anywhere(_validated(values, file), file.absolute().parent)
    name = name or file.stem
    _check_name(name, "the experiment")
    variants = tuple(
        _variant(each, changes, settings, config_of) for each, changes in _unique(settings.combinations, file)
    )
    _check_metrics(settings, variants)
    for variant in variants:
        if variant.settings.game != settings.game:
            raise ConfigError(
                f"variant {variant.name} plays {variant.settings.game}, and the experiment {settings.game}: set game "
                f"in {file}"
            )
    for player in (*settings.evaluation.opponents, settings.examples.opponent):
        encode_player(player, settings.game)
    game, positions = settings.game.rules, settings.evaluation.positions
    if game.name == DEFAULT or positions not in HALVES:
        load_positions(positions, game)
    return Experiment(name, settings, variants)


def read_prepared(folder: ExperimentFolder) -> Experiment:
    """Read the experiment for which a folder has been prepared; players and positions are not looked for.

    Raises:
        ExperimentError: the folder has not been prepared.
        ConfigError: a file in it is damaged.
    """
    if not folder.settings.is_file():
        raise ExperimentError(f"{folder.path} is not the folder of an experiment: run connectfour experiment prepare")
    values = read_yaml(folder.settings)
    name = str(values.pop("name", folder.path.name))
    settings = _validated(values, folder.settings)
    variants = (
        Variant(each, changes, load_settings(folder.variant(each), stored=True))
        for each, changes in settings.variants.items()
    )
    return Experiment(name, settings, tuple(variants))


_Config = Path | Mapping[str, Any] | None
"""A configuration file, or what it says."""


def _configs_beside(file: Path) -> Callable[[str, Any], _Config]:
    """Return what finds the configuration of a variant, by the variant's name and the path that the file gives."""
    return lambda _, path: file.parent / str(path) if path else None


def _packed_configs(configs: Any, file: Path) -> Callable[[str, Any], _Config]:
    """Return the same for a packed experiment, whose variants are fixed."""

    def config_of(variant: str, _: Any) -> _Config:
        config = configs.get(variant) if isinstance(configs, dict) else None
        if not isinstance(config, dict):
            raise ConfigError(f"{file} has no configs.{variant}: its variants are fixed")
        return config

    return config_of


def _validated(values: dict[str, Any], file: Path) -> ExperimentSettings:
    try:
        return ExperimentSettings.model_validate(values)
    except ValidationError as error:
        fault = error.errors()[0]
    key = ".".join(map(str, fault["loc"]))
    message = fault["msg"].removeprefix("Value error, ")
    if fault["type"] == "extra_forbidden":
        known = [each for each, _ in describe(ExperimentSettings)]
        close = difflib.get_close_matches(key, known, n=1, cutoff=0.0)
        raise ConfigError(
            f"{file}: unknown key {key!r}: did you mean {close[0]!r}? (connectfour experiment settings lists them all)"
        )
    if fault["type"] == "missing":
        raise ConfigError(f"{file}: {key} is missing: add it (connectfour experiment settings says what it means)")
    if fault["type"] == "value_error":
        raise ConfigError(f"{file}: {message}")
    raise ConfigError(f"{file}: {key} = {fault['input']!r} is not allowed: {message[0].lower()}{message[1:]}")


def _from_anywhere(settings: ExperimentSettings, folder: Path) -> ExperimentSettings:
    """Make paths of positions and players, which are relative to ``folder``, absolute: steps run elsewhere."""

    def player(spec: str) -> str:
        kind, _, path = spec.partition(":")
        return f"{kind}:{folder / path}" if kind in {"snapshot", "checkpoint", "onnx"} else spec

    evaluation, examples = settings.evaluation, settings.examples
    positions = evaluation.positions
    found = {
        "positions": positions if positions in {"test", "dev"} else str(folder / positions),
        "opponents": tuple(map(player, evaluation.opponents)),
    }
    return settings.model_copy(
        update={
            "evaluation": evaluation.model_copy(update=found),
            "examples": examples.model_copy(update={"opponent": player(examples.opponent)}),
        }
    )


def _unique(combinations: list[tuple[str, dict[str, Any]]], file: Path) -> list[tuple[str, dict[str, Any]]]:
    seen: set[str] = set()
    for name, _ in combinations:
        _check_name(name, "a variant")
        if name in seen:
            raise ConfigError(f"{file}: two variants have the name {name}: rename one")
        seen.add(name)
    return combinations


def _check_name(name: str, what: str) -> None:
    if not re.fullmatch(NAME, name):
        raise ConfigError(
            f"{name!r} cannot be the name of {what}, which becomes a folder: use letters, digits and any of _.,=+-"
        )


def _variant(
    name: str, changes: Mapping[str, Any], settings: ExperimentSettings, config_of: Callable[[str, Any], _Config]
) -> Variant:
    """Build the settings of a variant's runs."""
    own = dict(flat(changes))
    config = own.pop("config", settings.config)
    merged = {**dict(flat(settings.train)), **own}
    if "seed" in merged:
        raise ConfigError(f"variant {name} sets seed, which differs between its runs: set first_seed and runs instead")
    if "storage" in merged:
        raise ConfigError(f"variant {name} sets storage, which is that of the experiment: set storage instead")
    if "checkpoint.history" in merged:
        raise ConfigError(f"variant {name} sets checkpoint.history: set evaluation.points instead")
    if any(key == "game" or key.startswith("game.") for key in merged):
        raise ConfigError(f"variant {name} sets game, which is that of the experiment: set game instead")
    if settings.game.name != DEFAULT:
        merged = {"game": settings.game.model_dump(), **merged}
    try:
        run = load_settings(config_of(name, config), merged)
    except ConfigError as error:
        raise ConfigError(f"variant {name}: {error}") from None
    if run.stop.minutes is None and run.stop.env_steps is None:
        raise ConfigError(
            f"variant {name} has no limit in minutes or env steps, so its runs cannot be compared: set "
            "train.stop.minutes or train.stop.env_steps"
        )
    kept = run.checkpoint.model_copy(update={"history": settings.evaluation.points})
    run = run.model_copy(update={"checkpoint": kept, "seed": 0, "storage": settings.storage})
    return Variant(name, {**({"config": str(config)} if "config" in changes else {}), **own}, run)


def _check_metrics(settings: ExperimentSettings, variants: Sequence[Variant]) -> None:
    """Check the condition and the plots against what the runs report."""
    known = [training_metrics(variant.settings) for variant in variants]
    if settings.evaluate_if is not None:
        condition = Condition(settings.evaluate_if)
        for metrics in known:
            condition.check(metrics)
    for plot in settings.plots:
        check_metric(plot, [name for metrics in known for name in metrics], settings.evaluation.opponents)
