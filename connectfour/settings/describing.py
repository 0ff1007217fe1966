"""Names and meanings of settings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from connectfour.settings.base import Settings, section_of
from connectfour.settings.schema import RunSettings


def describe(model: type[Settings], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield ``(dotted name, description)`` of every setting of a run."""
    for name, field in model.model_fields.items():
        section = section_of(field)
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
