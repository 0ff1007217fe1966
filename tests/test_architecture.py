"""The table in CONTRIBUTING.md is the architecture; the imports obey it."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("connectfour", "heuristics", "callbacks")


@cache
def _rooms() -> list[str]:
    """Return the rooms from top to bottom, as CONTRIBUTING.md lists them."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return re.findall(r"^\| `([\w/.]+)` +\|", text, flags=re.MULTILINE)


@cache
def _modules() -> dict[str, Path]:
    files = [file for package in PACKAGES for file in (ROOT / package).rglob("*.py")]
    names = {file: ".".join(file.relative_to(ROOT).with_suffix("").parts) for file in files}
    return {name.removesuffix(".__init__"): file for file, name in names.items()}


def _room(module: str) -> str:
    """Return the room of a module: its folder below ``connectfour``, or the ground floor's file itself."""
    path = _modules()[module].relative_to(ROOT)
    if path.parts[0] != "connectfour":
        return f"{path.parts[0]}/"
    return f"{path.parts[1]}/" if len(path.parts) > 2 else path.parts[1]


@cache
def _imports(module: str) -> set[str]:
    """Return the project's modules that a module imports, wherever in its file, for types included."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(_modules()[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{module} imports relatively"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= names & _modules().keys()
            found |= {node.module} if names - _modules().keys() else set()
    return {name for name in found if name.partition(".")[0] in PACKAGES}


def test_every_folder_is_a_room_and_every_room_a_folder() -> None:
    """The table names what there is, and files only on the ground floor."""
    assert set(_rooms()) == {_room(module) for module in _modules()}
    assert len(_rooms()) == len(set(_rooms()))


@pytest.mark.parametrize("module", sorted(_modules()))
def test_imports_between_rooms_fall(module: str) -> None:
    """A module imports from its own room and from the rooms below."""
    room = _room(module)
    below = {room, *_rooms()[_rooms().index(room) + 1 :]}
    assert {name for name in _imports(module) if _room(name) not in below} == set()


def test_no_imports_run_in_a_circle() -> None:
    """Modules import one another in one direction, inside a room too; lazy imports and those for types count."""
    graph: Mapping[str, set[str]] = {module: _imports(module) - {module} for module in _modules()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


_KNOW_CONNECT_FOUR = (
    "connectfour.games.",
    "connectfour.grading.graded_set.",
    "connectfour.networks.features",
    "connectfour.networks.heads",
    "heuristics.",
)
"""What shows or grades Connect Four, or stands on its lines; everything else follows the game."""


def test_everything_else_follows_the_game() -> None:
    """Only what is about Connect Four imports it."""
    for module in _modules():
        if any(name.startswith("connectfour.games.connect_four") for name in _imports(module)):
            assert module.startswith(_KNOW_CONNECT_FOUR), module


def test_heuristics_know_only_the_rules() -> None:
    """A heuristic needs the contract of games, and perhaps the bitboards of Connect Four."""
    for module in _modules():
        if module.startswith("heuristics"):
            known = {name for name in _imports(module) if name.startswith("connectfour")}
            assert {name for name in known if not name.startswith("connectfour.games.")} == set()
            of_one_game = {name for name in known if name.startswith("connectfour.games.connect_four")}
            assert of_one_game <= {"connectfour.games.connect_four.bitboard"}


@pytest.mark.parametrize(
    "module",
    [
        "connectfour",
        "connectfour.cli",
        "connectfour.experiments.argo",
        "connectfour.experiments.execution.single",
        "connectfour.experiments.preparing",
        "connectfour.experiments.reporting.report",
        "connectfour.games.connect_four.bitboard",
        "connectfour.games.connect_four.notation",
        "connectfour.league.matchmaking",
        "connectfour.league.pool",
        "connectfour.league.snapshots",
        "connectfour.matches.arena",
        "connectfour.players.names",
        "connectfour.rating.posterior",
        "connectfour.runs.inventory",
        "connectfour.runs.progress",
        "connectfour.settings.reading",
        "connectfour.standings.best",
        "connectfour.tournament.tournament",
        "heuristics",
    ],
)
def test_light_modules_load_neither_ray_nor_torch(module: str) -> None:
    """Whoever plays or reads a league does not pay for the trainer's libraries."""
    code = f"import sys, {module}; print(sorted({{'ray', 'torch', 'pygame', 'gradio'}} & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"


def test_files_stay_short() -> None:
    """A file that outgrows 400 lines is more than one thing; shorter ones may be, too."""
    long = {name: lines for name, file in _modules().items() if (lines := len(file.read_text().splitlines())) > 400}
    assert not long
