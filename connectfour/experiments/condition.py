"""Conditions such as ``win_rate > 0.7 and league_size >= 8``: parsed, checked and computed, never evaluated as code."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from connectfour.errors import ConfigError
from connectfour.experiments.metrics import unknown_metric

_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_MOST_CHARACTERS = 1000


class Condition:
    """A comparison of metrics and numbers, or several joined by ``and``, ``or``, ``not`` and brackets."""

    def __init__(self, text: str) -> None:
        """Parse ``text``.

        Raises:
            ConfigError: it is not a condition.
        """
        self._text = text
        try:
            self._tree = ast.parse(text[:_MOST_CHARACTERS].strip(), mode="eval").body
        except (SyntaxError, ValueError, MemoryError, RecursionError):
            raise self._refusal("it is not an expression") from None
        if len(text) > _MOST_CHARACTERS:
            raise self._refusal(f"it has more than {_MOST_CHARACTERS} characters")
        self._check(self._tree, is_truth=True)

    def _refusal(self, reason: str) -> ConfigError:
        return ConfigError(
            f"cannot read the condition {self._text[:_MOST_CHARACTERS]!r}: {reason}; write it like "
            "win_rate > 0.7 and league_size >= 8"
        )

    def _check(self, node: ast.expr, *, is_truth: bool) -> None:
        """Check that a node is of a known kind, and is a truth or a number as its place demands."""
        match node:
            case ast.BoolOp(values=values) if is_truth:
                for value in values:
                    self._check(value, is_truth=True)
            case ast.UnaryOp(op=ast.Not(), operand=operand) if is_truth:
                self._check(operand, is_truth=True)
            case ast.Compare(left=left, ops=ops, comparators=others) if is_truth and _all_in(ops, _COMPARISONS):
                for value in (left, *others):
                    self._check(value, is_truth=False)
            case ast.BinOp(left=left, op=op, right=right) if not is_truth and type(op) in _ARITHMETIC:
                self._check(left, is_truth=False)
                self._check(right, is_truth=False)
            case ast.UnaryOp(op=ast.USub(), operand=operand) if not is_truth:
                self._check(operand, is_truth=False)
            case ast.Name() if not is_truth:
                pass
            case ast.Constant(value=int() | float() as value) if not is_truth and not isinstance(value, bool):
                pass
            case _:
                expected = "a comparison" if is_truth else "a metric or a number"
                raise self._refusal(f"{ast.unparse(node)!r} is not {expected}")

    def check(self, known: Sequence[str]) -> None:
        """Check that all its metrics are ``known``.

        Raises:
            ConfigError: one is not; the message suggests the closest one.
        """
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Name) and node.id not in known:
                raise ConfigError(f"condition {self._text!r}: {unknown_metric(node.id, known)}")

    def holds(self, metrics: Mapping[str, float]) -> bool:
        """Return whether it holds; it does not if one of its metrics is NaN, or with a division by zero.

        Raises:
            KeyError: a metric is missing.
        """
        used = [metrics[node.id] for node in ast.walk(self._tree) if isinstance(node, ast.Name)]
        try:
            return not any(map(math.isnan, used)) and bool(_value(self._tree, metrics))
        except (ZeroDivisionError, OverflowError):
            return False


def _all_in(ops: Sequence[ast.cmpop], known: Mapping[type[ast.cmpop], Any]) -> bool:
    return all(type(op) in known for op in ops)


def _value(node: ast.expr, metrics: Mapping[str, float]) -> Any:  # noqa: PLR0911  # one case per kind of node
    match node:
        case ast.BoolOp(op=ast.And(), values=values):
            return all(_value(value, metrics) for value in values)
        case ast.BoolOp(values=values):
            return any(_value(value, metrics) for value in values)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return not _value(operand, metrics)
        case ast.UnaryOp(operand=operand):
            return -_value(operand, metrics)
        case ast.Compare(left=left, ops=ops, comparators=others):
            values = [_value(each, metrics) for each in (left, *others)]
            pairs = zip(ops, values, values[1:], strict=False)
            return all(_COMPARISONS[type(op)](one, other) for op, one, other in pairs)
        case ast.BinOp(left=left, op=op, right=right):
            return _ARITHMETIC[type(op)](_value(left, metrics), _value(right, metrics))
        case ast.Name(id=name):
            return metrics[name]
        case ast.Constant(value=value):
            return value
    raise TypeError(node)  # the constructor has checked every node
