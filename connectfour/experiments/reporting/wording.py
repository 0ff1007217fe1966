"""How the report writes numbers, times and metrics."""

from __future__ import annotations

import math
from collections.abc import Sequence

INTERVAL = "95\u00a0% interval"
NOTHING = "\u2013"
_MINUS = "\u2212"

_METRICS = {
    "value_preserving": "share of moves that keep the result",
    "optimal": "share of moves that keep the exact score",
    "score": "points per game against the ladder",
    "win_rate": "win rate against its own pool (does not compare runs)",
    "newest_score": "points per game against the newest members (does not compare runs)",
    "draw_rate": "share of draws against its own pool (does not compare runs)",
    "league_score": "points per game of the whole league (does not compare runs)",
    "league_size": "members of the league",
    "value_preserving_dev": "share of moves that keep the result, dev positions",
    "env_steps": "env steps",
    "env_steps_per_second": "env steps per second",
    "minutes": "minutes of training",
}

_SHORT = {"value_preserving": "keeps the result", "optimal": "keeps the score", "score": "ladder"}


def capital(text: str) -> str:
    """Return a text that begins with a capital letter."""
    return text[:1].upper() + text[1:]


def metric_name(metric: str) -> str:
    """Return what a metric is, in words."""
    opponent = metric.removeprefix("score:")
    return f"points per game against {opponent}" if opponent != metric else _METRICS.get(metric, metric)


def short_name(metric: str) -> str:
    """Return what a metric is, in as few words as the head of a narrow column allows."""
    return _SHORT.get(metric) or metric.removeprefix("score:").replace("_", " ")


def number(value: float | None, digits: int = 3) -> str:
    """Return a value with ``digits`` decimals, or fewer if it is large; a dash for None."""
    if value is None or math.isnan(value):
        return NOTHING
    text = f"{value:,.{0 if abs(value) >= 1000 else min(digits, 1) if abs(value) >= 100 else digits}f}"
    return text.replace("-", _MINUS)


def signed(value: float | None, digits: int = 3) -> str:
    """Return a difference with its sign."""
    text = number(value, digits)
    return f"+{text}" if value is not None and value > 0 and text != NOTHING else text


def interval(low: float | None, high: float | None, digits: int = 3, *, sign: bool = False) -> str:
    """Return the ends of an interval; a dash if there is none."""
    if low is None or high is None:
        return NOTHING
    write = signed if sign else number
    return f"{write(low, digits)} to {write(high, digits)}"


def p_value(value: float) -> str:
    """Return a p-value with its sign of equality."""
    if value < 0.001:
        return "p < 0.001"
    return f"p = {value:.3f}" if value < 0.1 else f"p = {value:.2f}"


def duration(seconds: float) -> str:
    """Return a time in the two largest units that it has."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes % 60 else f"{minutes // 60} h"


def count(amount: int, thing: str) -> str:
    """Return a number of things, in the plural unless it is one."""
    things = f"{thing.removesuffix('y')}ies" if thing.endswith("cy") else f"{thing}s"
    return f"{amount:,} {thing if amount == 1 else things}"


def listed(words: Sequence[str]) -> str:
    """Return words as "a, b and c"."""
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1]))) if words else ""


def moment(axis: str, at: float) -> str:
    """Return a point of training, such as "30 minutes of training"."""
    if axis == "minutes":
        minutes = f"{at:,.1f}".removesuffix(".0")
        return f"{minutes} minute{'' if minutes == '1' else 's'} of training"
    return f"{at:,.0f} env steps"


def equally(axis: str) -> str:
    """Return what is equal when runs are compared over an axis."""
    return "equal minutes" if axis == "minutes" else "equal env steps"
