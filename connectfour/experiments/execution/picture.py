"""The graph of an experiment's steps as a picture: SVG that needs nothing else.

Steps stand in layers from left to right. A step's layer is the length of the longest path that leads to it, and within
a layer steps keep the order in which they are given. Arrows that other arrows imply are left out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from html import escape

_HEIGHT, _ROW, _GAP, _MARGIN = 28.0, 38.0, 64.0, 16.0
_LETTER, _PADDING, _MARK_ROOM = 7.6, 10.0, 22.0
_MOST_LETTERS = 34

_PAPER, _INK, _ARROW, _BORDER = "#fbfaf7", "#1f2937", "#8793a3", "#5b6675"
# Tints of the colors of Okabe and Ito (2008), light enough for dark text.
_FILLS = {
    "train": "#cfe6f5",
    "record": "#fbe6b8",
    "evaluate": "#cdebdf",
    "games": "#f1dcea",
    "average": "#fbd9c5",
    "league": "#e0def2",
    "report": "#f4f1c6",
}
_OTHER_FILL = "#e4e7eb"


@dataclass(frozen=True)
class _Mark:
    """How a state is drawn: a disc of one color with lines of another, and the box's border."""

    color: str
    lines: str
    dashes: str = ""


_MARKS = {  # every state has a shape of its own
    "done": _Mark("#00775a", "M-4 0 L-1 3 L4 -3"),
    "failed": _Mark("#b03a00", "M-3 -3 L3 3 M-3 3 L3 -3"),
    "not evaluated": _Mark("#8a4a76", "M-4 0 L4 0", "2 3"),
    "skipped": _Mark("#5b6675", "M-3 -3.5 L1 0 L-3 3.5 M1 -3.5 L4 0 L1 3.5", "6 4"),
    "waiting": _Mark("#8793a3", "M-3.4 0 h.1 M0 0 h.1 M3.3 0 h.1", "1 3"),
}
_OTHER_MARK = _Mark("#0072b2", "M-2.5 -4 L4 0 L-2.5 4 Z")  # such as running


def draw_graph(predecessors: Mapping[str, Collection[str]], states: Mapping[str, str] | None = None) -> str:
    """Return a picture of steps as SVG.

    Args:
        predecessors: by step, the steps that it needs; steps that appear only there need none.
        states: by step, "done", "failed", "skipped", "not evaluated", "waiting" or another word, which each box shows
            as a mark; None shows none.

    Raises:
        graphlib.CycleError: steps need one another.
    """
    layers = _layers(predecessors)
    boxes = _boxes(layers, has_marks=states is not None)
    right = max((box.x + box.width for box in boxes.values()), default=0.0)
    lowest = max((box.y + _HEIGHT for box in boxes.values()), default=0.0)
    kinds = list(dict.fromkeys(name.partition("-")[0] for name in boxes))
    known = [state for state in _MARKS if states and state in states.values()]
    others = [state for state in dict.fromkeys((states or {}).values()) if state not in _MARKS]
    legend, width, height = _legend(kinds, known + others, max(right, 480.0), lowest + _MARGIN)
    shown = {name: (states or {}).get(name, "waiting") if states is not None else "" for name in boxes}
    arrows = [_arrow(boxes[before], boxes[after]) for after, needed in _reduced(predecessors) for before in needed]
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
        f'height="{height:.0f}" role="img" aria-labelledby="graph-title graph-desc" '
        'font-family="system-ui, -apple-system, Roboto, Arial, sans-serif" font-size="13">'
    )
    return "\n".join(
        [
            opening,
            f'<title id="graph-title">{len(boxes)} steps in {len(layers)} layers</title>',
            f'<desc id="graph-desc">{_text(_description(layers, shown))}</desc>',
            f'<rect width="{width:.0f}" height="{height:.0f}" rx="8" fill="{_PAPER}"/>',
            f'<g fill="none" stroke="{_ARROW}" stroke-width="1.3">{"".join(arrows)}</g>',
            *(_drawn(name, box, shown[name]) for name, box in boxes.items()),
            legend,
            "</svg>",
            "",
        ]
    )


@dataclass(frozen=True)
class _Box:
    x: float
    y: float
    width: float


def _layers(predecessors: Mapping[str, Collection[str]]) -> list[list[str]]:
    depths: dict[str, int] = {}
    for name in TopologicalSorter(predecessors).static_order():
        depths[name] = max((depths[each] + 1 for each in predecessors.get(name, ())), default=0)
    layers: list[list[str]] = [[] for _ in range(max(depths.values(), default=-1) + 1)]
    given = dict.fromkeys([*predecessors, *depths])
    for name in given:
        layers[depths[name]].append(name)
    return layers


def _boxes(layers: Sequence[Sequence[str]], *, has_marks: bool) -> dict[str, _Box]:
    """Place the boxes: each layer is as wide as its longest name, and centered from top to bottom."""
    boxes: dict[str, _Box] = {}
    x, tallest = _MARGIN, max(map(len, layers), default=0)
    for layer in layers:
        letters = max(len(_short(name)) for name in layer)
        width = letters * _LETTER + 2 * _PADDING + (_MARK_ROOM if has_marks else 0)
        top = _MARGIN + (tallest - len(layer)) * _ROW / 2
        for row, name in enumerate(layer):
            boxes[name] = _Box(x, top + row * _ROW, width)
        x += width + _GAP
    return boxes


def _reduced(predecessors: Mapping[str, Collection[str]]) -> list[tuple[str, list[str]]]:
    """Return what each step needs without what these need already."""
    above: dict[str, set[str]] = {}
    for name in TopologicalSorter(predecessors).static_order():
        needed = predecessors.get(name, ())
        above[name] = set(needed).union(*(above[each] for each in needed))
    return [
        (name, [each for each in needed if not any(each in above[other] for other in needed)])
        for name, needed in predecessors.items()
    ]


def _arrow(before: _Box, after: _Box) -> str:
    x, y = before.x + before.width, before.y + _HEIGHT / 2
    end, down = after.x, after.y + _HEIGHT / 2
    bend = min((end - x) / 2, _GAP)
    return (
        f'<path d="M{x:.1f} {y:.1f} C{x + bend:.1f} {y:.1f} {end - bend:.1f} {down:.1f} {end - 2:.1f} {down:.1f}"/>'
        f'<path d="M{end - 8:.1f} {down - 4:.1f} L{end - 1:.1f} {down:.1f} L{end - 8:.1f} {down + 4:.1f}"/>'
    )


def _drawn(name: str, box: _Box, state: str) -> str:
    fill = _FILLS.get(name.partition("-")[0], _OTHER_FILL)
    middle = box.y + _HEIGHT / 2
    mark = _MARKS.get(state, _OTHER_MARK) if state else None
    border = mark.color if mark and state != "done" else _BORDER
    dashes = f' stroke-dasharray="{mark.dashes}"' if mark and mark.dashes else ""
    weight = 2.5 if state == "failed" else 1.2
    left = box.x + _PADDING + (_MARK_ROOM if mark else 0)
    return (
        f"<g><title>{_text(f'{name}: {state}' if state else name)}</title>"
        f'<rect x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{_HEIGHT:.0f}" rx="7" fill="{fill}" '
        f'stroke="{border}" stroke-width="{weight}"{dashes}/>'
        f"{_marked(mark, box.x + _PADDING + 7, middle) if mark else ''}"
        f'<text x="{left:.1f}" y="{middle + 4.5:.1f}" fill="{_INK}">{_text(_short(name))}</text></g>'
    )


def _marked(mark: _Mark, x: float, y: float) -> str:
    return (
        f'<g transform="translate({x:.1f} {y:.1f})"><circle r="8" fill="{mark.color}"/>'
        f'<path d="{mark.lines}" fill="none" stroke="#fff" stroke-width="2" stroke-linecap="round" '
        'stroke-linejoin="round"/></g>'
    )


def _legend(kinds: Sequence[str], states: Sequence[str], right: float, top: float) -> tuple[str, float, float]:
    """Return the legend, and the size of the picture."""
    parts, x, y = [], _MARGIN, top + 14
    for word, is_state in [*((kind, False) for kind in kinds), *((state, True) for state in states)]:
        room = 28 + len(word) * _LETTER + 16
        if x + room > right and x > _MARGIN:
            x, y = _MARGIN, y + 26
        if is_state:
            symbol = _marked(_MARKS.get(word, _OTHER_MARK), x + 10, y)
        else:
            fill = _FILLS.get(word, _OTHER_FILL)
            symbol = (
                f'<rect x="{x:.1f}" y="{y - 7:.1f}" width="20" height="14" rx="4" fill="{fill}" stroke="{_BORDER}"/>'
            )
        parts.append(f'{symbol}<text x="{x + 27:.1f}" y="{y + 4.5:.1f}" fill="{_INK}">{_text(word)}</text>')
        x += room
    return f"<g>{''.join(parts)}</g>", right + _MARGIN, y + 14 + _MARGIN


def _description(layers: Sequence[Sequence[str]], states: Mapping[str, str]) -> str:
    """Return the picture in words."""
    parts = [
        f"Layer {number}: " + ", ".join(f"{name} ({states[name]})" if states[name] else name for name in layer)
        for number, layer in enumerate(layers, start=1)
    ]
    return ". ".join([*parts, "Arrows that others imply are left out."])


def _short(name: str) -> str:
    """Return a name that fits into a box: the kind at its beginning and the seed at its end stay."""
    half = _MOST_LETTERS // 2
    return name if len(name) <= _MOST_LETTERS else f"{name[:half]}…{name[-half + 1 :]}"


def _text(text: str) -> str:
    """Return text as XML, without characters that XML cannot hold."""
    return escape("".join(letter for letter in text if letter.isprintable()))
