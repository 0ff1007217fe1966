"""What a running league publishes as metrics of Ray, for Prometheus to collect.

Ray serves the quantity ``NAME`` as the gauge ``ray_connectfour_NAME``. Where Ray's dashboard is not installed, nothing
listens, and publishing does nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from ray.util.metrics import Gauge

_PREFIX = "connectfour_"
_RUN = "run"


@dataclass(frozen=True)
class Quantity:
    """Something that is measured while a league trains or is ranked.

    Attributes:
        name: its name, without a prefix.
        meaning: what it is.
        unit: what it is counted in.
        by: the tag, besides the run's name, that tells its values apart, if there are several.
    """

    name: str
    meaning: str
    unit: str
    by: str | None = None

    @property
    def served_as(self) -> str:
        """The name under which Prometheus finds it."""
        return f"ray_{_PREFIX}{self.name}"


QUANTITIES = (
    Quantity("win_rate", "main's points per game against the active pool", "share"),
    Quantity("newest_score", "main's lowest points per game against one of the newest snapshots", "share"),
    Quantity("league_size", "members of the league", "members"),
    Quantity("value_preserving", "moves of main that keep the result on solved positions", "share"),
    Quantity("env_steps", "env steps since training began", "env steps"),
    Quantity("env_steps_per_second", "speed of the latest iteration", "env steps per second"),
    Quantity("replay_size", "transitions that Ape-X's replay holds", "transitions"),
    Quantity("waiting", "time that a process of Ape-X waits", "share", by="process"),
    Quantity("games_per_second", "speed of a ranking since it began", "games per second"),
)
"""Everything that is published. docs/watching.md lists it, and deploy/grafana.json draws it."""

Value = float | Mapping[str, float]
"""The value of a quantity; by tag if its quantity has one."""


class Gauges:
    """Publishes what is known of a run."""

    def __init__(self, run: str) -> None:
        """Publish under the name ``run``."""
        self._run = run
        self._gauges = {each.name: _gauge(each) for each in QUANTITIES}
        self._tags = {each.name: each.by for each in QUANTITIES}

    def publish(self, values: Mapping[str, Value]) -> None:
        """Set quantities by name; those that are not a number yet are left out.

        Raises:
            KeyError: there is no such quantity.
        """
        for name, value in values.items():
            gauge, tag = self._gauges[name], self._tags[name]
            parts = value.items() if isinstance(value, Mapping) else [("", value)]
            for part, number in parts:
                if not math.isnan(number):
                    gauge.set(float(number), {_RUN: self._run, **({tag: part} if tag else {})})


def _gauge(quantity: Quantity) -> Gauge:
    tags = (_RUN, quantity.by) if quantity.by else (_RUN,)
    return Gauge(f"{_PREFIX}{quantity.name}", description=f"{quantity.meaning} ({quantity.unit})", tag_keys=tags)
