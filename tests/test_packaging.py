"""The wheel and the lock."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from poetry.core.masonry import api

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = {"connectfour", "heuristics", "callbacks"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel with the project's own backend."""
    folder = tmp_path_factory.mktemp("wheel")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        return folder / api.build_wheel(str(folder))


def test_wheel_holds_the_three_packages_and_nothing_else(wheel: Path) -> None:
    """`heuristics` and `callbacks` are names that others use too: the wheel must not bring more of them."""
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == PACKAGES
    assert {f"{package}/py.typed" for package in PACKAGES} <= set(names)
    assert wheel.name.startswith("connectfour_league-")


def test_wheel_works_in_a_clean_environment_outside_the_checkout(wheel: Path, tmp_path: Path) -> None:
    """Installed alone, with the dependencies lent, all three packages and the command work."""
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", "--no-deps", wheel], check=True, capture_output=True)
    # A .pth file lends the dependencies; the editable installation of this checkout is not followed through it.
    site = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    (Path(site) / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")
    code = "import connectfour.cli, heuristics, callbacks.self_play as c; print(connectfour.__file__, c.__file__)"
    assert all(file.startswith(site) for file in _output(python, "-c", code, cwd=tmp_path).split())
    installed = tmp_path / "env" / "bin" / "connectfour"
    match = _output(installed, "match", "heuristic:linear", "heuristic:random", "--games", "20", cwd=tmp_path)
    assert "linear against random" in match


def _output(*command: str | Path, cwd: Path) -> str:
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=True).stdout


def _lock() -> list[dict[str, object]]:
    packages: list[dict[str, object]] = tomllib.loads((ROOT / "poetry.lock").read_text())["package"]
    return packages


@pytest.mark.parametrize("system", ["Linux", "Darwin", "Windows"])
@pytest.mark.parametrize("name", ["nvidia-cublas", "nvidia-cuda-nvrtc"])
def test_at_most_one_build_of_a_cuda_library_applies(name: str, system: str) -> None:
    """Two builds would be installed over each other, and torch would not import."""
    platform = {"Linux": "linux", "Darwin": "darwin", "Windows": "win32"}[system]
    machine = {"Linux": "x86_64", "Darwin": "arm64", "Windows": "AMD64"}[system]
    environment = {"platform_system": system, "sys_platform": platform, "platform_machine": machine, "extra": ""}
    applying = set()
    for package in _lock():
        markers = package.get("markers", "")
        main = markers.get("main", "") if isinstance(markers, dict) else markers
        if package["name"] == name and (not main or Marker(str(main)).evaluate(environment)):
            applying.add(package["version"])
    assert len(applying) <= 1
    assert (system != "Linux") or len(applying) == 1


def test_lock_names_no_host_and_no_path() -> None:
    """Whoever installs from it uses their own index."""
    for package in _lock():
        assert "source" not in package, package["name"]


def test_lock_belongs_to_pyproject() -> None:
    """Every dependency is locked, in a version that its range admits."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    locked = {str(package["name"]): str(package["version"]) for package in _lock()}
    for text in [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]:
        requirement = Requirement(text)
        assert requirement.specifier.contains(locked[requirement.name.lower()]), text


def test_the_tests_run_on_the_locked_versions() -> None:
    """A build for one device ("+cpu") is the same version."""
    locked = {(str(package["name"]), str(package["version"])) for package in _lock()}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    for text in [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]:
        name = Requirement(text).name
        assert (name, importlib.metadata.version(name).partition("+")[0]) in locked
