"""``connectfour space``: a folder that can be pushed as a Hugging Face Space, and runs anywhere else.

app.py               starts the web app on the bundle beside it
requirements.txt     every package it takes, in the versions that it was written with; no Ray, no Torch
README.md            what it is, with the header that a Space is configured by
.gitattributes       models and pictures go to LFS
connectfour/  heuristics/    the modules of this project that the app uses, and no others
bundle/              models, leaderboard, games
"""

from __future__ import annotations

import importlib.metadata
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from rich.console import Console

import connectfour
from connectfour.app.bundle import INDEX, BundledPlayer
from connectfour.errors import ExportError
from connectfour.export.bundle import write_bundle
from connectfour.files import write_atomically

_ROOTS = ("connectfour", "heuristics")
_SOURCE = Path(connectfour.__file__).parent.parent
_LIBRARIES = ("gradio", "numpy", "onnx", "onnxruntime", "pydantic", "pyyaml", "safetensors", "starlette")
"""What the app's modules import."""

_APP = '''"""Entry of the Space: the web app on the bundle beside this file."""

import os
import sys
from pathlib import Path

from connectfour.app.serve import serve
from connectfour.errors import ConnectFourError

if __name__ == "__main__":
    host = os.environ.get("GRADIO_SERVER_NAME", "0.0.0.0")
    port = int(os.environ.get("GRADIO_SERVER_PORT", "7860"))
    try:
        serve(Path(__file__).parent / "bundle", host, port, lambda address: print("Serving at", address, flush=True))
    except ConnectFourError as error:
        sys.exit(f"{error} (host and port are GRADIO_SERVER_NAME and GRADIO_SERVER_PORT)")
'''

_README = """---
title: "{title}"
emoji: 🔵
colorFrom: blue
colorTo: yellow
sdk: gradio
sdk_version: {gradio}
python_version: "{python}"
app_file: app.py
pinned: false
license: mit
short_description: Play Connect Four against a self-play league
---

# {title}

Connect Four against {count} players of a league that trained by self-play: rule-based ones, and neural networks that
play from a single forward pass, without search. The strongest is **{strongest}**.

Runs anywhere: `pip install -r requirements.txt`, then `python app.py`. Models are ONNX files and run on onnxruntime;
nothing that visitors do is stored.

{table}
"""

_ATTRIBUTES = "*.onnx filter=lfs diff=lfs merge=lfs -text\n*.png filter=lfs diff=lfs merge=lfs -text\n"

_LIST_MODULES = """
import sys
import connectfour.app.serve
names = [name for name in sys.modules if name.partition(".")[0] in {"connectfour", "heuristics"}]
print("\\n".join(sorted(names)))
"""


def write_space(run: Path, output: Path, console: Console, *, top: int) -> list[BundledPlayer]:
    """Write a Space of ``run`` into ``output``, and return its players, the weakest first.

    What is there already, of an earlier call or of the Space's repository, is kept or replaced file by file.

    Args:
        run: a run folder, better a ranked one.
        output: folder to write.
        console: where to tell how far it is.
        top: how many networks to take, the strongest ones.

    Raises:
        RunFolderError, SnapshotError, RankingError, ExportError: as ``write_bundle``.
        ExportError: a library that the app needs is not installed, or ``output`` holds other packages of our names.
    """
    is_space = (output / "bundle" / INDEX).is_file() and output.resolve() != _SOURCE
    foreign = [name for name in _ROOTS if (output / name).exists() and not is_space]
    if foreign:
        raise ExportError(f"{output / foreign[0]} is there already, and of no Space: name another --output")
    requirements = pinned_requirements(_LIBRARIES)
    players = write_bundle(output / "bundle", console, run=run, top=top)
    _copy_modules(output)
    title = f"Connect Four: {run.resolve().name}".replace('"', "'")
    readme = _README.format(
        title=title,
        gradio=importlib.metadata.version("gradio"),
        python=f"{sys.version_info.major}.{sys.version_info.minor}",
        count=len(players),
        strongest=players[-1].id,
        table=_markdown_table(players),
    )
    for name, text in (
        ("app.py", _APP),
        ("requirements.txt", "".join(f"{line}\n" for line in requirements)),
        ("README.md", readme),
        (".gitattributes", _ATTRIBUTES),
    ):
        write_atomically(output / name, text.encode())
    return players


def _markdown_table(players: Sequence[BundledPlayer]) -> str:
    rows = [
        f"| {player.id} | {'-' if player.rating is None else f'{player.rating:.1f} ± {player.interval:.1f}'} |"
        for player in reversed(players)
    ]
    return "\n".join(["| player | skill (TrueSkill units, 95 %) |", "|---|---|", *rows])


def _copy_modules(output: Path) -> None:
    """Copy the modules that the app loads, and what lies beside them for it; others of an earlier call go."""
    command = [sys.executable, "-c", _LIST_MODULES]
    listed = subprocess.run(  # noqa: S603  # its own code
        command, check=True, capture_output=True, text=True, cwd=_SOURCE
    )
    static = Path("connectfour", "app", "static")
    with tempfile.TemporaryDirectory(dir=output, prefix=".new") as folder:
        new = Path(folder)
        shutil.copytree(_SOURCE / static, new / static)
        for module in listed.stdout.split():
            path = Path(*module.split("."))
            file = path / "__init__.py" if (_SOURCE / path).is_dir() else path.with_suffix(".py")
            (new / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(_SOURCE / file, new / file)
        for name in _ROOTS:
            shutil.rmtree(output / name, ignore_errors=True)
            (new / name).rename(output / name)


def pinned_requirements(libraries: Sequence[str]) -> list[str]:
    """Return ``name==version`` of installed ``libraries`` and of all that they need here, by name.

    Raises:
        ExportError: one is not installed.
    """
    versions: dict[str, str] = {}
    waiting = [Requirement(library) for library in libraries]
    seen: set[str] = set()
    while waiting:
        wanted = waiting.pop()
        if str(wanted) in seen:
            continue
        seen.add(str(wanted))
        try:
            found = importlib.metadata.distribution(wanted.name)
        except importlib.metadata.PackageNotFoundError:
            raise ExportError(f"{wanted.name} is not installed: make install, or pip install '.[web]'") from None
        versions[canonicalize_name(wanted.name)] = found.version.partition("+")[0]
        extras = [*wanted.extras, ""]
        for text in found.requires or []:
            needed = Requirement(text)
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in extras):
                waiting.append(needed)
    return [f"{name}=={version}" for name, version in sorted(versions.items())]
