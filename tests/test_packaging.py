"""The wheel, the lock, and the set-up that installs from it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from itertools import chain
from pathlib import Path
from types import ModuleType

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
    """Other projects use the names `heuristics` and `callbacks` too, so the wheel must not add more of that kind."""
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == PACKAGES
    assert {f"{package}/py.typed" for package in PACKAGES} <= set(names)
    assert wheel.name.startswith("connectfour_league-")


def test_wheel_holds_pages_styles_scripts_and_positions(wheel: Path) -> None:
    kinds = {".html", ".css", ".js", ".gz"}
    files = {file.relative_to(ROOT).as_posix() for file in (ROOT / "connectfour").rglob("*") if file.suffix in kinds}
    assert {"connectfour/experiments/reporting/report.html", "connectfour/experiments/reporting/report.css"} <= files
    assert files <= set(zipfile.ZipFile(wheel).namelist())


@pytest.mark.slow
def test_wheel_works_in_a_clean_environment_outside_the_checkout(wheel: Path, tmp_path: Path) -> None:
    """All three packages and the command work, installed alone with borrowed dependencies."""
    venv.create(tmp_path / "env")
    python = tmp_path / "env" / "bin" / "python"
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--python", python]
    subprocess.run([*pip, "install", "-q", "--no-deps", wheel], check=True, capture_output=True)
    # A .pth file makes the dependencies importable, but not this checkout: .pth files do not nest.
    site = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    (Path(site) / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
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
    """Two builds would overwrite each other's files and break `import torch`."""
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
    """Everyone installs from the index that their own pip or Poetry is configured with."""
    for package in _lock():
        assert "source" not in package, package["name"]


def _requirements() -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"].values()
    texts = [*project["project"]["dependencies"], *chain(*extras), *project["dependency-groups"]["dev"]]
    return [Requirement(text) for text in texts]


def test_lock_belongs_to_pyproject() -> None:
    """Every dependency is locked to a version that its range admits."""
    locked = {str(package["name"]): str(package["version"]) for package in _lock()}
    for requirement in _requirements():
        assert requirement.specifier.contains(locked[requirement.name.lower()]), requirement


def test_the_tests_run_on_the_locked_versions() -> None:
    """A build for one device ("+cpu") counts as the same version. The tests do without the solver."""
    locked = {(str(package["name"]), str(package["version"])) for package in _lock()}
    for requirement in _requirements():
        if requirement.name != "bitbully":
            installed = importlib.metadata.version(requirement.name).partition("+")[0]
            assert (requirement.name, installed) in locked


@pytest.fixture
def bootstrap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Load the set-up script, with an empty .venv of its own."""
    spec = importlib.util.spec_from_file_location("bootstrap", ROOT / "scripts" / "bootstrap.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "VENV", tmp_path)
    monkeypatch.setattr(module, "STAMP", tmp_path / "stamp")
    monkeypatch.setattr(module, "installed_pip", lambda: "23.2.1")
    return module


def test_set_up_brings_pip_up_to_date_and_runs_once(bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """An old pip needs minutes to resolve what the locked one resolves in seconds."""
    commands: list[str] = []
    monkeypatch.setattr(bootstrap.subprocess, "run", lambda command, **_: commands.append(" ".join(map(str, command))))
    bootstrap.main()
    first, second, _compile = commands
    (locked,) = (package["version"] for package in _lock() if package["name"] == "pip")
    assert first.endswith(f" pip=={locked}")
    assert f"{ROOT}[argo,dashboard,video,web]" in second
    commands.clear()
    bootstrap.main()
    assert commands == []


def test_interrupted_set_up_starts_again(bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(command: list[object], **_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(bootstrap.subprocess, "run", interrupt)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            bootstrap.main()


def test_constraints_keep_the_markers_of_packages_with_several_versions(bootstrap: ModuleType) -> None:
    lock = {
        "package": [
            {"name": "once", "version": "1", "markers": "sys_platform == 'linux'"},
            {"name": "twice", "version": "2", "markers": {"main": "os_name == 'nt'", "dev": "os_name == 'posix'"}},
            {"name": "twice", "version": "3", "markers": "os_name == 'java'"},
        ]
    }
    assert bootstrap.constraints(lock) == [
        "once==1",
        "twice==2; (os_name == 'nt') or (os_name == 'posix')",
        "twice==3; os_name == 'java'",
    ]


def test_films_are_an_extra() -> None:
    """FFmpeg outweighs the rest of the drawing code by far, so a plain installation leaves it out."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    plain = {Requirement(text).name for text in project["dependencies"]}
    video = {Requirement(text).name for text in project["optional-dependencies"]["video"]}
    assert {"imageio", "imageio-ffmpeg"} <= video - plain
