"""Create .venv with the versions in poetry.lock, using pip alone.

Every ``make`` target runs this first. ``poetry install`` does the same job, but needs Poetry, and installs the CUDA
build of Torch whose hash the lock names; pip takes the CPU build if its configuration offers one.

A stamp makes a rerun cost nothing until something changes. It is written last, so an interrupted installation resumes.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMP = VENV / "bootstrap.stamp"
PYTHON = VENV / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
# What the tests need. "solver" is AGPL and only regenerates the graded positions.
EXTRAS = ("argo", "dashboard", "video", "web")


def fingerprint() -> str:
    """Hash everything that decides what gets installed."""
    digest = hashlib.sha256(f"{sys.version} {ROOT}".encode())
    for name in ("pyproject.toml", "poetry.lock", "scripts/bootstrap.py"):
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def constraints(lock: dict[str, Any]) -> list[str]:
    """Return one ``name==version`` line per locked package, with its marker if the name has several versions."""
    versions = Counter(package["name"] for package in lock["package"])
    lines = []
    for package in lock["package"]:
        marker = package.get("markers")
        if isinstance(marker, dict):
            marker = " or ".join(f"({text})" for text in marker.values())
        suffix = f"; {marker}" if marker and versions[package["name"]] > 1 else ""
        lines.append(f"{package['name']}=={package['version']}{suffix}")
    return lines


def locked_version(lock: dict[str, Any], name: str) -> str:
    """Return the version of a package that the lock holds once."""
    (version,) = (package["version"] for package in lock["package"] if package["name"] == name)
    return str(version)


def installed_pip() -> str | None:
    """Return the version of pip in .venv, or None if .venv is missing, broken, or of another Python."""
    probe = "import pip, sys; print(*sys.version_info[:2], pip.__version__)"
    try:
        run = subprocess.run([PYTHON, "-c", probe], check=False, capture_output=True, text=True)
    except OSError:
        return None
    *python, pip = run.stdout.split() or [""]
    return pip if python == [str(number) for number in sys.version_info[:2]] else None


def pip_install(arguments: Iterable[str | Path]) -> None:
    """Run ``pip install`` in .venv."""
    options = ["--quiet", "--no-compile", "--no-warn-script-location", "--disable-pip-version-check"]
    subprocess.run([PYTHON, "-m", "pip", "install", *options, *arguments], check=True)


def main() -> None:
    """Install the project, its dependencies and the tools of the ``dev`` group into .venv."""
    stamp = fingerprint()
    if STAMP.is_file() and STAMP.read_text() == stamp:
        return
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    lock = tomllib.loads((ROOT / "poetry.lock").read_text())
    print(f"Installing up to {len(lock['package'])} locked packages into {VENV.name} (a few minutes, once) ...")
    if installed_pip() is None:
        shutil.rmtree(VENV, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
    STAMP.unlink(missing_ok=True)
    # The pip that comes with Python 3.11 needs minutes to resolve what a current one resolves in seconds.
    pip = locked_version(lock, "pip")
    if installed_pip() != pip:
        pip_install([f"pip=={pip}"])
    constraint_file = VENV / "constraints.txt"
    constraint_file.write_text("\n".join(constraints(lock)) + "\n")
    wanted = ["--editable", f"{ROOT}[{','.join(EXTRAS)}]", *project["dependency-groups"]["dev"]]
    pip_install(["--constraint", constraint_file, *wanted])
    # Compile now: where PYTHONDONTWRITEBYTECODE is set, every start of Ray and Torch would pay for it.
    subprocess.run([PYTHON, "-m", "compileall", "-q", "-j", "0", VENV / "lib"], stdout=subprocess.DEVNULL, check=False)
    STAMP.write_text(stamp)


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        sys.exit(f"Installing failed (exit code {error.returncode}): read pip's message above, then run make again.")
