"""Settings from YAML files, dotted overrides and plain values, with one-sentence error messages."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from connectfour.errors import ConfigError
from connectfour.settings.base import Settings, section_of
from connectfour.settings.describing import describe
from connectfour.settings.game import parse_game
from connectfour.settings.resources import MatchDemand
from connectfour.settings.schema import RunSettings
from connectfour.system.names import load_name

LEARNERS = {
    "ppo": "connectfour.learning.ppo.settings:PPORunSettings",
    "apex": "connectfour.learning.apex.settings:ApexRunSettings",
}
"""The settings of each algorithm's runs. A new learner adds its folder and a line here."""

_DEFAULT_ALGORITHM = "ppo"

# What reading YAML raises: a date such as 2024-99-99 is a ValueError, and so is text that is not UTF-8.
_YAML_FAULTS = (yaml.YAMLError, ValueError, RecursionError)


def run_settings(algorithm: str) -> type[RunSettings]:
    """Return the class of settings of runs with ``algorithm``.

    Raises:
        ConfigError: there is no such algorithm.
    """
    if algorithm not in LEARNERS:
        raise ConfigError(f"unknown algorithm {algorithm!r}: choose {', '.join(map(repr, LEARNERS))}")
    kind: type[RunSettings] = load_name(LEARNERS[algorithm])
    return kind


def load_settings(
    file: str | Path | Mapping[str, Any] | None = None,
    overrides: Sequence[str] | Mapping[str, Any] = (),
    *,
    stored: bool = False,
) -> Any:
    """Read settings from a YAML file and apply ``"dotted.name=value"`` overrides; all others keep their defaults.

    Args:
        file: what a user wrote, or the ``config.yaml`` of a run; also as nested values.
        overrides: take precedence over the file; also as values by dotted name.
        stored: whether a run stored the file; it may then carry settings that do nothing.

    Returns:
        The ``RunSettings`` of the algorithm.

    Raises:
        ConfigError: the file cannot be read; a key is unknown, does nothing, or has a value that is out of range. The
            message names it.
    """
    values = deepcopy(dict(file)) if isinstance(file, Mapping) else read_yaml(Path(file)) if file else {}
    kind = _kind(values)
    chosen = {} if stored else {name: value for name, value in flat(values) if not _is_dumped(kind, values, name)}
    if "network.head" not in chosen:
        _drop_head(kind, values)
    given = overrides.items() if isinstance(overrides, Mapping) else map(parse_override, overrides)
    for name, value in given:
        set_value(values, name, value)
        chosen |= dict(flat({name: value}))
    kind = _kind(values)
    if "network.head" in chosen:
        algorithm = kind.model_fields["algorithm"].default
        raise ConfigError(f"network.head follows from algorithm={algorithm}: leave it out")
    settings = validate_settings(values)
    for name in chosen:
        check_effect(settings, name)
    return settings


def parse_override(text: str) -> tuple[str, Any]:
    """Return the name and the value in ``"dotted.name=value"``.

    Raises:
        ConfigError: it is not of this form.
    """
    name, equals, written = text.partition("=")
    name = name.strip()
    if not equals:
        raise ConfigError(f"cannot read the override {text!r}: write it as key=value, for example stop.minutes=10")
    try:
        return name, yaml.safe_load(written)
    except _YAML_FAULTS:
        raise ConfigError(f"{written!r} is not valid YAML and cannot be the value of {name}: quote it") from None


def validate_settings(values: Mapping[str, Any]) -> Any:
    """Build settings from nested plain values; ``algorithm`` defaults to ppo.

    Returns:
        The ``RunSettings`` of the algorithm.

    Raises:
        ConfigError: a key is unknown or a value is out of range; the message names the first one.
    """
    kind = _kind(values)
    try:
        return kind.model_validate(dict(values))
    except ValidationError as error:
        raise ConfigError(_first_fault(error, kind.model_fields["algorithm"].default)) from None


def read_demand(overrides: Sequence[str], option: str) -> MatchDemand:
    """Return what a batch of games asks Ray for, from ``"name=value"`` as the command's ``option`` gave them.

    Raises:
        ConfigError: a name is unknown or a value is out of range; the message names the first one.
    """
    values: dict[str, Any] = {}
    for name, value in map(parse_override, overrides):
        set_value(values, name, value)
    try:
        return MatchDemand.model_validate(values)
    except ValidationError as error:
        fault = error.errors()[0]
    name, message = ".".join(map(str, fault["loc"])), fault["msg"].removeprefix("Value error, ")
    if fault["type"] == "extra_forbidden":
        raise ConfigError(f"{option} has no {name}: choose one of {', '.join(MatchDemand.model_fields)}")
    raise ConfigError(f"{option} {name}={fault['input']} is not allowed: {message[0].lower()}{message[1:]}")


def check_setting_name(name: str, algorithm: str) -> None:
    """Check that a dotted name is a setting of runs with ``algorithm``.

    Raises:
        ConfigError: it is not one; the message suggests the closest name.
    """
    if name not in dict(describe(run_settings(algorithm))):
        raise ConfigError(_unknown(name, algorithm))


def check_effect(settings: RunSettings, name: str) -> None:
    """Check that the setting ``name`` does something in a run with ``settings``.

    Raises:
        ConfigError: it does not; the message says why.
    """
    for idle, reason in settings.idle.items():
        if f"{name}.".startswith(f"{idle}."):
            raise ConfigError(f"{name} has no effect in this run: {reason}; leave it out")


def _kind(values: Mapping[str, Any]) -> type[RunSettings]:
    algorithm = values.get("algorithm", _DEFAULT_ALGORITHM)
    return run_settings(algorithm if isinstance(algorithm, str) else str(algorithm))


def flat(values: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the dotted names of nested values with the values."""
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from flat(value, f"{prefix}{key}.")
        elif value is not None or prefix or "." in str(key):  # an empty section keeps its defaults
            yield f"{prefix}{key}", value


def _is_dumped(kind: type[RunSettings], values: Mapping[str, Any], name: str) -> bool:
    """Return whether a run stored this setting: its section is complete, and it has its default."""
    *sections, leaf = name.split(".")
    model: type[Settings] | None = kind
    written: Any = values
    for section in sections:
        model = section_of(model.model_fields.get(section)) if model else None
        written = written.get(section) if isinstance(written, dict) else None
        if model is None or not isinstance(written, dict) or not model.model_fields.keys() <= written.keys():
            return False
    if not sections or model is None:
        return False
    default = kind.head if name == "network.head" else getattr(model.model_fields.get(leaf), "default", None)
    return bool(written[leaf] == default)


def _drop_head(kind: type[RunSettings], values: dict[str, Any]) -> None:
    """Forget ``network.head``, which earlier releases stored; it follows from the algorithm."""
    network = values.get("network")
    if isinstance(network, dict) and network.get("head") == kind.head:
        values["network"] = {key: value for key, value in network.items() if key != "head"}


def dump_settings(settings: RunSettings) -> str:
    """Return settings as YAML, without those that have no effect and no value of their own."""
    values = settings.model_dump(mode="json")
    defaults = validate_settings({"algorithm": settings.algorithm}).model_dump(mode="json")
    for name in settings.idle:
        *sections, leaf = name.split(".")
        held, usual = values, defaults
        for section in sections:
            held, usual = held[section], usual[section]
        if held[leaf] == usual[leaf]:
            del held[leaf]
    return yaml.safe_dump(values, sort_keys=False)


class _UniqueKeys(yaml.SafeLoader):
    """Refuses a mapping with the same key twice, of which YAML would drop the first without a word."""


def _unique_mapping(loader: _UniqueKeys, node: yaml.MappingNode) -> dict[Any, Any]:
    keys = [loader.construct_object(key, deep=True) for key, _ in node.value]
    for number, key in enumerate(keys):
        if key in keys[:number]:
            raise ConfigError(f"{key!r} stands there twice, at line {node.value[number][0].start_mark.line + 1}")
    return dict(loader.construct_mapping(node, deep=True))


_UniqueKeys.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _unique_mapping)


def read_yaml(file: Path) -> dict[str, Any]:
    """Read a YAML file of settings; an empty one has none.

    Raises:
        ConfigError: it cannot be read, is not YAML, or holds something else.
    """
    try:
        values = yaml.load(file.read_text(encoding="utf-8"), _UniqueKeys)  # noqa: S506  # a SafeLoader
    except ConfigError as error:
        raise ConfigError(f"{file}: {error}: rename or remove one of the two") from None
    except OSError as error:
        raise ConfigError(f"cannot read {file}: {error.strerror}; check the path and its permissions") from None
    except _YAML_FAULTS as error:
        where = getattr(error, "problem_mark", None)
        line = f" at line {where.line + 1}" if where else ""
        raise ConfigError(f"{file} is not valid YAML{line}: fix it") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(f"{file} contains a {type(values).__name__} instead of settings: write them as key: value")
    return values


def set_value(values: dict[str, Any], name: str, value: Any) -> None:
    """Set a dotted name in nested plain values.

    Raises:
        ConfigError: a part of the name is a value, not a section.
    """
    *parents, leaf = name.split(".")
    if parents[:1] == ["game"] and isinstance(values.get("game"), str):  # the short form of game.name
        values["game"] = parse_game(values["game"])
    for parent in parents:
        if values.get(parent) is None:
            values[parent] = {}
        values = values[parent]
        if not isinstance(values, dict):
            raise ConfigError(f"{name} cannot be set: {parent} is {values!r}, not a section")
    values[leaf] = value


def _unknown(name: str, algorithm: str) -> str:
    known = [known_name for known_name, _ in describe(run_settings(algorithm))]
    for other in LEARNERS:
        # The whole section may be given, or one of its settings.
        if any(each == name or each.startswith(f"{name}.") for each, _ in describe(run_settings(other))):
            return f"{name} belongs to algorithm={other}, but this run has algorithm={algorithm}: change one of the two"
    by_leaf = {known_name.rpartition(".")[2]: known_name for known_name in known}
    typo = difflib.get_close_matches(name, known, n=1, cutoff=0.9)
    close_leaf = difflib.get_close_matches(name.rpartition(".")[2], by_leaf, n=1, cutoff=0.75)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
    nearest = typo[0] if typo else by_leaf[close_leaf[0]] if close_leaf else close[0]
    return f"unknown setting {name!r}: did you mean {nearest!r}? (connectfour settings lists them all)"


def _first_fault(error: ValidationError, algorithm: str) -> str:
    faults = error.errors()
    fault = next((each for each in faults if each["type"] == "extra_forbidden"), faults[0])
    name = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        return _unknown(name, algorithm)
    message = fault["msg"].removeprefix("Value error, ")
    leaf = name.rpartition(".")[2]
    if fault["type"] == "value_error" and message.startswith(f"{leaf} "):
        return f"{name}{message.removeprefix(leaf)}"
    if not name or fault["type"] == "value_error":
        return message
    value = fault["input"]
    shown = f"{value:g}" if isinstance(value, float) and math.isfinite(value) else repr(value)
    return f"{name} = {shown} is not allowed: {message[0].lower()}{message[1:]}"
