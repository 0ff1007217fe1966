"""The picture of an experiment's steps."""

from __future__ import annotations

import re
from graphlib import CycleError
from xml.etree import ElementTree as ET

import pytest

from connectfour.experiments.execution.picture import draw_graph
from tests.reports import plan

_SVG = "{http://www.w3.org/2000/svg}"


def _parsed(svg: str) -> ET.Element:
    return ET.fromstring(svg)  # noqa: S314  # our own


def _boxes(svg: str) -> dict[str, tuple[float, float, float]]:
    """Return the left, upper and right edge of each step's box, by the step's title."""
    found = {}
    for group in _parsed(svg).iter(f"{_SVG}g"):
        title, box = group.find(f"{_SVG}title"), group.find(f"{_SVG}rect")
        if title is not None and box is not None:
            x, y, width = (float(box.get(name, "nan")) for name in ("x", "y", "width"))
            found[str(title.text)] = (x, y, x + width)
    return found


def _arrows(svg: str) -> int:
    return svg.count(" C")


def test_steps_stand_right_of_those_they_need_and_never_overlap() -> None:
    graph = plan(["ppo", "apex"], 8)
    boxes = _boxes(draw_graph(graph))
    assert boxes.keys() == graph.keys()
    for name, needed in graph.items():
        assert all(boxes[before][2] < boxes[name][0] for before in needed)
    places = list(boxes.values())
    for number, (left, top, right) in enumerate(places):
        for other_left, other_top, other_right in places[:number]:
            assert right < other_left or other_right < left or abs(top - other_top) > 28


def test_a_layer_keeps_the_given_order() -> None:
    boxes = _boxes(draw_graph({"b": [], "a": [], "c": []}))
    assert sorted(boxes, key=lambda name: boxes[name][1]) == ["b", "a", "c"]


def test_arrows_that_others_imply_are_left_out() -> None:
    """The report needs every step, and one arrow shows it."""
    assert _arrows(draw_graph({"a": [], "b": ["a"], "c": ["b"], "report": ["a", "b", "c"]})) == 3
    assert _arrows(draw_graph({"a": [], "b": [], "report": ["a", "b"]})) == 2


def test_every_state_has_its_own_shape_and_is_named() -> None:
    """Color alone would not do."""
    states = ["done", "failed", "not evaluated", "skipped", "waiting", "running"]
    svg = draw_graph({f"train-{number}": [] for number in range(6)}, {f"train-{i}": s for i, s in enumerate(states)})
    groups = [group for group in _parsed(svg).iter(f"{_SVG}g") if group.find(f"{_SVG}title") is not None]
    shapes = [path.get("d") for group in groups for path in group.iter(f"{_SVG}path")]
    assert len(shapes) == len(set(shapes)) == 6
    legend = [text.text for text in _parsed(svg).iter(f"{_SVG}text")][6:]
    assert legend == ["train", *states]


def test_names_are_text_and_long_ones_keep_their_seed() -> None:
    name = 'train-<script>&"' + "x" * 60 + "-7"
    svg = draw_graph({name: []}, {name: "done"})
    assert "<script>" not in svg
    (box,) = _boxes(svg)
    assert box == f"{name}: done"
    (label, *_legend) = [str(text.text) for text in _parsed(svg).iter(f"{_SVG}text")]
    assert re.fullmatch(r'train-<script>&".*x-7', label)
    assert len(label) < 40


def test_the_picture_scales_and_speaks() -> None:
    root = _parsed(draw_graph(plan(["ppo"], 2), {"train-ppo-0": "failed"}))
    width, height = (float(root.get(name, "nan")) for name in ("width", "height"))
    assert root.get("viewBox") == f"0 0 {width:.0f} {height:.0f}"
    assert root.get("role") == "img"
    words = " ".join(root.findtext(f"{_SVG}{name}", "") for name in ("title", "desc"))
    assert "10 steps" in words
    assert "train-ppo-0 (failed)" in words
    assert "train-ppo-1 (waiting)" in words


def test_no_steps_and_steps_in_a_circle() -> None:
    assert _boxes(draw_graph({})) == {}
    with pytest.raises(CycleError):
        draw_graph({"a": ["b"], "b": ["a"]})
