"""``import connectfour as cf``: the public names, and what importing them costs."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import connectfour as cf

ROOT = Path(__file__).resolve().parent.parent

NAMES = [
    "Apex",
    "ApexConfig",
    "ApexRunSettings",
    "ClusterError",
    "ConfigError",
    "ConnectFourError",
    "ExportError",
    "HiddenPackageError",
    "NotationError",
    "OutputError",
    "PPORunSettings",
    "PictureError",
    "PlayerError",
    "PositionsError",
    "RankingError",
    "Result",
    "RunFolderError",
    "Score",
    "SeatScores",
    "SelfPlayApex",
    "SelfPlayApexConfig",
    "SelfPlayCallback",
    "SelfPlayPPO",
    "SelfPlayPPOConfig",
    "ServerError",
    "SnapshotError",
    "TrainingError",
    "TrainingResult",
    "__version__",
    "export_onnx",
    "grade",
    "load_settings",
    "parse_player",
    "play_match",
    "rank",
    "resume",
    "start_ray",
    "train",
]


def test_the_public_names_are_these() -> None:
    """A name that joins or leaves is a decision, not an accident."""
    assert cf.__all__ == NAMES
    assert dir(cf) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_loads_and_is_documented(name: str) -> None:
    """Each has a docstring of its own."""
    found = getattr(cf, name)
    assert found.__doc__ if name != "__version__" else found.count(".") == 2


def test_readme_uses_public_names_alone() -> None:
    """Its Python examples compile, and take nothing of this project from anywhere else."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    assert len(blocks) >= 2
    used = set()
    for block in blocks:
        for node in ast.walk(ast.parse(block.replace(", ...)", ")"))):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "cf":
                used.add(node.attr)
            if isinstance(node, ast.Import | ast.ImportFrom):
                assert {alias.name for alias in node.names} == {"connectfour"}
    assert {"train", "rank", "SelfPlayPPOConfig"} <= used <= set(NAMES)


def test_links_in_the_documentation_lead_somewhere() -> None:
    """Files of this project that README, CONTRIBUTING and docs link to exist."""
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]
    for page in pages:
        for link in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.name} links to {link}"


def test_an_unknown_name_is_an_attribute_error() -> None:
    """As in any module."""
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        cf.trian  # noqa: B018  # the access is what is tested


def _python(code: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, check=False)


def test_importing_and_playing_load_neither_ray_nor_torch() -> None:
    """A match between heuristics needs NumPy alone."""
    code = (
        "import sys, connectfour as cf\n"
        "a, b = cf.parse_player('heuristic:linear'), cf.parse_player('heuristic:random')\n"
        "assert cf.play_match(a, b, games=4).total.games == 4\n"
        "print(sorted({'ray', 'torch', 'pygame', 'gradio'} & set(sys.modules)))"
    )
    done = _python(code)
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize("name", ["callbacks", "heuristics"])
def test_a_users_file_that_shadows_a_package_is_named(tmp_path: Path, name: str) -> None:
    """In Python as one sentence of an ImportError, on the command line as one sentence."""
    file = tmp_path / f"{name}.py"
    file.write_text("")
    sentence = f"{file} shadows this project's package {name}: rename it, or run from another folder"
    in_python = _python("import connectfour as cf; cf.train", cwd=tmp_path)
    assert in_python.stderr.splitlines()[-1].endswith(sentence)
    done = subprocess.run(
        [sys.executable, "-m", "connectfour", "--version"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (14, f"connectfour: {sentence}\n")
