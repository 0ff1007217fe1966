"""Conditions on a run's metrics: what is a condition, and when it holds."""

from __future__ import annotations

import pytest

from connectfour.errors import ConfigError
from connectfour.experiments.condition import Condition

METRICS = {"win_rate": 0.75, "league_size": 9.0, "value_loss": float("nan"), "zero": 0.0}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("win_rate > 0.7", True),
        ("win_rate > 0.75", False),
        ("win_rate >= 0.75 and league_size < 9", False),
        ("win_rate >= 0.75 or league_size < 9", True),
        ("not win_rate < 0.5", True),
        ("0.7 < win_rate < 0.8", True),
        ("0.7 < win_rate < 0.72", False),
        ("(win_rate + 0.25) * 10 == league_size + 1", True),
        ("-win_rate < -0.5", True),
        ("league_size / 3 != 3", False),
        ("value_loss < 1", False),
        ("value_loss > 1", False),
        ("not value_loss > 1", False),
        ("value_loss != 1", False),
        ("win_rate / zero > 1", False),
        ("  win_rate > 0.7\n", True),
    ],
)
def test_a_condition_holds(text: str, expected: bool) -> None:
    """Nothing holds with a metric that is NaN, nor with a division by zero."""
    assert Condition(text).holds(METRICS) is expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "win_rate >",
        "win_rate",
        "win_rate > 0.7 and",
        "win_rate + 1",
        "win_rate > '0.7'",
        "win_rate > True",
        "win_rate is 1",
        "win_rate in (1, 2)",
        "__import__('os').system('true') > 0",
        "win_rate.real > 0",
        "(lambda: 1)() > 0",
        "win_rate ** 9999 > 1",
        "win_rate > 0.7 if win_rate else 1",
        "[win_rate][0] > 1",
        "win_rate := 1",
        "(" * 500 + "win_rate" + ")" * 500 + " > 1",
        "not " * 300 + "win_rate > 1",
        "\0",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    """One sentence says how to write it; nothing is evaluated as code."""
    with pytest.raises(ConfigError, match=r"cannot read the condition .*: .*; write it like win_rate > 0\.7"):
        Condition(text)


def test_a_metric_that_nobody_reports_is_refused() -> None:
    """The message suggests the closest one."""
    with pytest.raises(ConfigError, match="unknown metric 'winrate': did you mean 'win_rate'"):
        Condition("winrate > 0.7").check(list(METRICS))
