"""Install the league for running, with the versions in poetry.lock, into a virtual environment of its own.

The Dockerfile and the cluster launcher's files call this on every node, so that all nodes have the same versions::

    python3 scripts/install.py ~/connectfour-env               # everything
    python3 scripts/install.py /opt/connectfour --dependencies # all but the project itself, for a layer of an image
    python3 scripts/install.py /opt/connectfour --project      # the project itself, after that

Tools for development stay out; ``scripts/bootstrap.py`` sets up a checkout with them.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable
from pathlib import Path

from bootstrap import ROOT, constraints, locked_version

EXTRA = "dashboard"  # metrics, the dashboard, and jobs for KubeRay
# PyPI has the CUDA build; "pip" takes whichever build pip's own configuration offers.
TORCH_INDEX = {"cpu": "https://download.pytorch.org/whl/cpu", "cuda": "https://pypi.org/simple", "pip": None}


class Environment:
    """A virtual environment that pip installs into."""

    def __init__(self, folder: Path) -> None:
        """Create the environment in ``folder`` unless it is there."""
        self.python = folder / "bin" / "python"
        if not self.python.exists():
            subprocess.run([sys.executable, "-m", "venv", folder], check=True)

    def install(self, *arguments: str | Path) -> None:
        """Run ``pip install``."""
        options = ["--no-cache-dir", "--no-warn-script-location", "--disable-pip-version-check", "--quiet"]
        subprocess.run([self.python, "-m", "pip", "install", *options, *arguments], check=True)


def install_dependencies(environment: Environment, torch: str) -> None:
    """Install the locked dependencies, Torch first and from its own index."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lock = tomllib.loads((ROOT / "poetry.lock").read_text())
    environment.install(f"pip=={locked_version(lock, 'pip')}")
    index = TORCH_INDEX[torch]
    if index:
        # Without its dependencies: they come from the lock, below.
        environment.install("--no-deps", "--index-url", index, f"torch=={locked_version(lock, 'torch')}")
    wanted: Iterable[str] = [*project["dependencies"], *project["optional-dependencies"][EXTRA]]
    with tempfile.TemporaryDirectory() as folder:
        constraint_file = Path(folder) / "constraints.txt"
        constraint_file.write_text("\n".join(constraints(lock)) + "\n")
        environment.install("--constraint", constraint_file, *wanted)


def install_project(environment: Environment) -> None:
    """Install the project, with the build tool that the lock names."""
    lock = tomllib.loads((ROOT / "poetry.lock").read_text())
    environment.install(f"poetry-core=={locked_version(lock, 'poetry-core')}")
    environment.install("--no-deps", "--no-build-isolation", ROOT)


def main() -> None:
    """Install what was asked for: by default everything."""
    parser = argparse.ArgumentParser(description="Install the league for running, with the versions in poetry.lock.")
    parser.add_argument("folder", type=Path, help="virtual environment, created if it is missing")
    parser.add_argument("--torch", choices=TORCH_INDEX, default="cpu", help="build of Torch (default: cpu)")
    part = parser.add_mutually_exclusive_group()
    part.add_argument("--dependencies", action="store_true", help="only what the project needs")
    part.add_argument("--project", action="store_true", help="only the project itself")
    given = parser.parse_args()
    environment = Environment(given.folder.expanduser().absolute())
    if not given.project:
        install_dependencies(environment, given.torch)
    if not given.dependencies:
        install_project(environment)


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        sys.exit(f"Installing failed (exit code {error.returncode}): read pip's message above, then run it again.")
