"""Create .venv with the versions of poetry.lock, using pip alone.

``make`` runs this before anything else. Poetry would do the same for somebody with Poetry at hand; pip needs nothing
installed, and picks the torch build that its configuration offers (a CPU build where there is one) instead of the CUDA
build that the lock's hashes name. A stamp makes a rerun cost nothing while nothing has changed; it is written last, so
that an interrupted installation is taken up again.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMP = VENV / "bootstrap.stamp"
PYTHON = VENV / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def fingerprint() -> str:
    """Hash everything that decides what gets installed."""
    digest = hashlib.sha256(f"{sys.version} {ROOT}".encode())
    for name in ("pyproject.toml", "poetry.lock", "scripts/bootstrap.py"):
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def constraints(lock: dict[str, Any]) -> list[str]:
    """Return one ``name==version`` line a locked package, with its marker where a name has several versions."""
    versions = Counter(package["name"] for package in lock["package"])
    lines = []
    for package in lock["package"]:
        marker = package.get("markers")
        if isinstance(marker, dict):
            marker = " or ".join(f"({text})" for text in marker.values())
        suffix = f"; {marker}" if marker and versions[package["name"]] > 1 else ""
        lines.append(f"{package['name']}=={package['version']}{suffix}")
    return lines


def venv_works() -> bool:
    """Tell whether .venv holds this Python with pip; an interrupted or moved one does not."""
    probe = "import pip, sys; print(*sys.version_info[:2])"
    try:
        run = subprocess.run([PYTHON, "-c", probe], check=False, capture_output=True, text=True)
    except OSError:
        return False
    return run.stdout.split() == [str(number) for number in sys.version_info[:2]]


def main() -> None:
    """Install the project, its dependencies and the tools of the ``dev`` group into .venv."""
    stamp = fingerprint()
    if STAMP.is_file() and STAMP.read_text() == stamp:
        return
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    lock = tomllib.loads((ROOT / "poetry.lock").read_text())
    print(f"Installing {len(lock['package'])} locked packages at most into {VENV.name} (a few minutes, once) ...")
    if not venv_works():
        shutil.rmtree(VENV, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
    STAMP.unlink(missing_ok=True)
    constraint_file = VENV / "constraints.txt"
    constraint_file.write_text("\n".join(constraints(lock)) + "\n")
    options = ["--quiet", "--no-warn-script-location", "--disable-pip-version-check", "--constraint", constraint_file]
    wanted = ["--editable", f"{ROOT}[web]", *project["dependency-groups"]["dev"]]
    subprocess.run([PYTHON, "-m", "pip", "install", *options, *wanted], check=True)
    # Compile now: where Python is told not to write bytecode, every start of Ray and Torch would pay for it.
    subprocess.run([PYTHON, "-m", "compileall", "-q", "-j", "0", VENV / "lib"], stdout=subprocess.DEVNULL, check=False)
    STAMP.write_text(stamp)


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        sys.exit(f"Installing failed (exit code {error.returncode}): read pip's message above, then run make again.")
