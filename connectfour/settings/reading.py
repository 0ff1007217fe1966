"""Settings from YAML files, dotted overrides and plain values, with one-sentence error messages."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, get_args

import yaml
from pydantic import Field, TypeAdapter, ValidationError

from connectfour.errors import ConfigError
from connectfour.settings.schema import AnyRunSettings, RunSettings, describe

_DEFAULT_ALGORITHM = "ppo"
_ANY_RUN: TypeAdapter[AnyRunSettings] = TypeAdapter(Annotated[AnyRunSettings, Field(discriminator="algorithm")])
_KINDS: dict[str, type[RunSettings]] = {
    kind.model_fields["algorithm"].default: kind for kind in get_args(AnyRunSettings)
}


def load_settings(file: str | Path | None = None, overrides: Sequence[str] = ()) -> AnyRunSettings:
    """Read settings from a YAML file and apply ``"dotted.name=value"`` overrides; all others keep their defaults.

    Raises:
        ConfigError: the file cannot be read, a key is unknown or a value is out of range; the message names it.
    """
    values = _read_yaml(Path(file)) if file else {}
    for override in overrides:
        name, equals, text = override.partition("=")
        if not equals:
            raise ConfigError(
                f"cannot read the override {override!r}: write it as key=value, for example stop.minutes=10"
            )
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError:
            raise ConfigError(f"{text!r} is not valid YAML and cannot be the value of {name}: quote it") from None
        set_value(values, name.strip(), value)
    return validate_settings(values)


def validate_settings(values: Mapping[str, Any]) -> AnyRunSettings:
    """Build settings from nested plain values; ``algorithm`` defaults to ppo.

    Raises:
        ConfigError: a key is unknown or a value is out of range; the message names the first one.
    """
    try:
        return _ANY_RUN.validate_python({"algorithm": _DEFAULT_ALGORITHM, **values})
    except ValidationError as error:
        raise ConfigError(_first_fault(error)) from None


def check_setting_name(name: str, algorithm: str) -> None:
    """Check that a dotted name is a setting of runs with ``algorithm``.

    Raises:
        ConfigError: it is not one; the message suggests the closest name.
    """
    if name not in dict(describe(_KINDS[algorithm])):
        raise ConfigError(_unknown(name, algorithm))


def dump_settings(settings: RunSettings) -> str:
    """Return settings as YAML; ``load_settings`` reads them back unchanged."""
    return yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False)


def _read_yaml(file: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read {file}: {error.strerror}; check the path and its permissions") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
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
    for parent in parents:
        if values.get(parent) is None:
            values[parent] = {}
        values = values[parent]
        if not isinstance(values, dict):
            raise ConfigError(f"{name} cannot be set: {parent} is {values!r}, not a section")
    values[leaf] = value


def _unknown(name: str, algorithm: str) -> str:
    known = [known_name for known_name, _ in describe(_KINDS[algorithm])]
    for other, kind in _KINDS.items():
        # The whole section may be given, or one of its settings.
        if any(each == name or each.startswith(f"{name}.") for each, _ in describe(kind)):
            return f"{name} belongs to algorithm={other}, but this run has algorithm={algorithm}: change one of the two"
    by_leaf = {known_name.rpartition(".")[2]: known_name for known_name in known}
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
    close_leaf = difflib.get_close_matches(name.rpartition(".")[2], by_leaf, n=1, cutoff=0.75)
    nearest = by_leaf[close_leaf[0]] if close_leaf else close[0]
    return f"unknown setting {name!r}: did you mean {nearest!r}? (connectfour settings lists them all)"


def _first_fault(error: ValidationError) -> str:
    faults = error.errors()
    fault = next((each for each in faults if each["type"] == "extra_forbidden"), faults[0])
    if fault["type"].startswith("union_tag"):
        found = fault["input"].get("algorithm") if isinstance(fault["input"], dict) else fault["input"]
        return f"unknown algorithm {found!r}: choose {fault['ctx'].get('expected_tags', _DEFAULT_ALGORITHM)}"
    # Inside a member of the union, locations begin with its tag.
    algorithm, *parts = (str(part) for part in fault["loc"])
    name = ".".join(parts)
    if fault["type"] == "extra_forbidden":
        return _unknown(name, algorithm)
    message = fault["msg"].removeprefix("Value error, ")
    if not name or fault["type"] == "value_error":
        return message
    value = fault["input"]
    shown = f"{value:g}" if isinstance(value, float) and math.isfinite(value) else repr(value)
    return f"{name} = {shown} is not allowed: {message[0].lower()}{message[1:]}"
