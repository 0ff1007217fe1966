"""``Settings``: the base of all settings and options."""

from __future__ import annotations

import re
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic.fields import FieldInfo


def section_of(field: FieldInfo | None) -> type[Settings] | None:
    """Return the settings class of a field that is a section."""
    annotation = field.annotation if field else None
    return annotation if isinstance(annotation, type) and issubclass(annotation, Settings) else None


def _as_meant(field: FieldInfo | None, value: Any) -> Any:
    if value is None and section_of(field):
        return {}
    if isinstance(value, str) and re.fullmatch(r"[+-]?\d+(\.\d*)?[eE][+-]?\d+", value):
        return float(value)
    return value


class Settings(BaseModel):
    """Base of all settings: immutable; unknown keys are rejected."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    def __hash__(self) -> int:
        """Return a hash: equal settings have the same one, also with options that are dictionaries."""
        return hash(self.model_dump_json())

    @model_validator(mode="before")
    @classmethod
    def _read_as_meant(cls, values: Any) -> Any:
        """Read an empty section as all defaults, and 1e6, which is text in YAML 1.1, as a number."""
        if not isinstance(values, dict):
            return values
        return {name: _as_meant(cls.model_fields.get(name), value) for name, value in values.items()}
