"""The table in CONTRIBUTING.md is the architecture; the imports obey it."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("connectfour", "heuristics", "callbacks")


def _table() -> list[list[str]]:
    """Return the rooms of each layer, the highest layer first, as CONTRIBUTING.md lists them."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.*?) \|", text, flags=re.MULTILINE)
    return [re.findall(r"`([\w.]+)`", row) for row in rows]


def _modules() -> dict[str, Path]:
    files = [file for package in PACKAGES for file in (ROOT / package).rglob("*.py")]
    names = {file: ".".join(file.relative_to(ROOT).with_suffix("").parts) for file in files}
    return {name.removesuffix(".__init__"): file for file, name in names.items()}


def _room(module: str) -> tuple[int, str]:
    """Return the layer and the room of a module: the longest name in the table that it begins with."""
    rooms = [
        (len(room), layer, room)
        for layer, row in enumerate(_table())
        for room in row
        if module == room or (module.startswith(f"{room}.") and room != "connectfour")
    ]
    assert rooms, f"{module} has no room in CONTRIBUTING.md"
    _, layer, room = max(rooms)
    return layer, room


def _imports(file: Path) -> set[str]:
    """Return the project's modules that a file imports, wherever in the file."""
    found: set[str] = set()
    modules = _modules()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{file} imports relatively"
            found |= {
                name if (name := f"{node.module}.{alias.name}") in modules else node.module for alias in node.names
            }
    return {name for name in found if name.partition(".")[0] in PACKAGES}


@pytest.mark.parametrize("module", sorted(_modules()))
def test_imports_go_downward(module: str) -> None:
    """A module imports from its own room and from lower layers only."""
    layer, room = _room(module)
    for imported in _imports(_modules()[module]):
        other_layer, other_room = _room(imported)
        assert other_room == room or other_layer > layer, f"{module} may not import {imported}"


def test_heuristics_know_only_the_bitboard() -> None:
    """The rules come from one place, and nothing else of connectfour is needed for a heuristic."""
    for module, file in _modules().items():
        if module.startswith("heuristics"):
            assert {name for name in _imports(file) if name.startswith("connectfour")} <= {"connectfour.game.bitboard"}


@pytest.mark.parametrize(
    "module",
    [
        "connectfour",
        "connectfour.cli",
        "connectfour.game.bitboard",
        "connectfour.game.notation",
        "connectfour.league.matchmaking",
        "connectfour.league.pool",
        "connectfour.league.snapshots",
        "connectfour.players.player",
        "connectfour.ranking.arena",
        "heuristics",
    ],
)
def test_light_modules_load_neither_ray_nor_torch(module: str) -> None:
    """Whoever plays or reads a league does not pay for the trainer's libraries."""
    code = f"import sys, {module}; print(sorted({{'ray', 'torch', 'pygame', 'gradio'}} & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"


def test_files_stay_short() -> None:
    """A file that outgrows 350 lines is more than one thing."""
    long = {name: lines for name, file in _modules().items() if (lines := len(file.read_text().splitlines())) > 350}
    assert not long
