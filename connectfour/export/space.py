"""``connectfour space``: a folder that runs anywhere and can be pushed as a Hugging Face Space.

    app.py               starts the web app on the bundle beside it
    requirements.txt     all packages that it needs, pinned to the versions installed here; no Ray, no Torch
    README.md            a description, with the header that configures a Space
    .gitattributes       stores models and pictures with Git LFS
    connectfour/  heuristics/    the modules of this project that the app uses, and no others
    bundle/              models, leaderboard, games

Everything that can be refused is refused before the first network is exported.
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

from connectfour.app.bundle import INDEX, BundledPlayer, empty_board
from connectfour.errors import ExportError
from connectfour.export.bundling import check_bundle_folder, plan_bundle, write_bundle
from connectfour.games.registry import BUILT_IN
from connectfour.system.files import write_atomically
from connectfour.system.observer import Observer

_PACKAGES = ("connectfour", "heuristics")
_SOURCE = Path(__file__).resolve().parents[2]
_LIBRARIES = (
    "filelock",
    "gradio",
    "numpy",
    "onnx",
    "onnxruntime",
    "protobuf",
    "pydantic",
    "pyyaml",
    "safetensors",
    "starlette",
    "typing-extensions",
)
"""Packages that the app's modules import."""

_APP = '''"""Starts the web app on the bundle beside this file."""

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
        sys.exit(f"{error} (set GRADIO_SERVER_NAME and GRADIO_SERVER_PORT)")
'''

_README = """---
title: {game} league
emoji: 🔵
colorFrom: blue
colorTo: yellow
sdk: gradio
sdk_version: {gradio}
python_version: "{python}"
app_file: app.py
pinned: false
license: mit
short_description: Play {game} against a self-play league
---

# {game} league

Play {game} against {count} players of the self-play league `{run}`: rule-based players, and neural networks that
choose each move with a single forward pass, without search. The strongest player is **{strongest}**.

To run it anywhere else: `pip install -r requirements.txt`, then `python app.py`. The networks are ONNX files and run on
onnxruntime. The server stores nothing of the visitors' games.

{table}
"""

_ATTRIBUTES = "*.onnx filter=lfs diff=lfs merge=lfs -text\n*.png filter=lfs diff=lfs merge=lfs -text\n"

_LIST_MODULES = """
import sys
import connectfour.app.serve
from connectfour.games.registry import BUILT_IN, make_game
for game in BUILT_IN:
    make_game(game)
names = [name for name in sys.modules if name.partition(".")[0] in {"connectfour", "heuristics"}]
print("\\n".join(sorted(names)))
"""


def write_space(
    run: Path, output: Path, *, top: int = 8, observer: Observer | None = None
) -> tuple[BundledPlayer, ...]:
    """Write a Space into ``output``, and return its players, the weakest first.

    An earlier Space there is updated; other files, such as those of its repository, are kept.

    Args:
        run: a run folder, preferably ranked.
        output: the folder to write; it need not exist.
        top: number of networks to take, the strongest ones.
        observer: hears about the progress of the export.

    Raises:
        RunFolderError, SnapshotError, RankingError: ``run`` is not a run, or its files are damaged.
        ServerError: the game has no picture.
        ExportError: ``output`` cannot be used, a library that the app needs is not installed, the game's code is not
            part of this project, or a network cannot be exported.
    """
    _check_output(output)
    requirements = pinned_requirements(_LIBRARIES)
    plan = plan_bundle(run, top=top)
    if not plan.has_network:
        raise ExportError(f"{run} has no network yet: train it until its first checkpoint")
    if plan.game.name not in BUILT_IN:
        raise ExportError(f"{plan.game} is not built in, so a Space lacks its code: use connectfour app instead")
    output.mkdir(exist_ok=True)
    players = write_bundle(output / "bundle", plan, observer)
    _copy_modules(output)
    readme = _README.format(
        game=empty_board(plan.game).title,
        gradio=importlib.metadata.version("gradio"),
        python=f"{sys.version_info.major}.{sys.version_info.minor}",
        count=len(players),
        run=run.resolve().name,
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


def _check_output(output: Path) -> None:
    """Check that a Space can be written into ``output`` without harm to anything else.

    Raises:
        ExportError: it is not a writable folder, belongs to this project, or holds other packages of the same names.
    """
    check_bundle_folder(output)
    resolved = output.resolve()
    if resolved == _SOURCE or any(resolved.is_relative_to(_SOURCE / name) for name in _PACKAGES):
        raise ExportError(f"{output} is the code of this project itself: name another --output")
    is_space = (output / "bundle" / INDEX).is_file()
    foreign = [output / name for name in _PACKAGES if (output / name).exists() and not is_space]
    if foreign:
        raise ExportError(f"{foreign[0]} exists and is not part of a Space: name another --output")


def _markdown_table(players: Sequence[BundledPlayer]) -> str:
    rows = [
        f"| {player.id} | {'-' if player.rating is None else f'{player.rating:.1f} ± {player.interval:.1f}'} |"
        for player in reversed(players)
    ]
    return "\n".join(["| player | skill (TrueSkill units, 95 %) |", "|---|---|", *rows])


def _copy_modules(output: Path) -> None:
    """Copy the modules and static files that the app loads; remove modules of an earlier Space."""
    command = [sys.executable, "-c", _LIST_MODULES]
    listed = subprocess.run(  # noqa: S603  # our own code
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
        for name in _PACKAGES:
            shutil.rmtree(output / name, ignore_errors=True)
            (new / name).rename(output / name)


def pinned_requirements(libraries: Sequence[str]) -> list[str]:
    """Return ``name==version`` of ``libraries`` and of everything they require, as installed here, sorted by name.

    Raises:
        ExportError: one of them is not installed.
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
            raise ExportError(
                f"{wanted.name} is not installed: install it with pip install 'connectfour-league[web]'"
            ) from None
        versions[canonicalize_name(wanted.name)] = found.version.partition("+")[0]
        extras = [*wanted.extras, ""]
        for text in found.requires or []:
            needed = Requirement(text)
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in extras):
                waiting.append(needed)
    return [f"{name}=={version}" for name, version in sorted(versions.items())]
