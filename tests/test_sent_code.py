"""What is sent to a cluster's nodes, and how nodes are compared with the driver."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from connectfour.cluster import code
from connectfour.cluster.code import code_for_nodes, fingerprint
from connectfour.cluster.nodes import compare, own_facts
from connectfour.errors import ClusterError
from connectfour.system import package_check

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a user's module and package, both loaded."""
    (tmp_path / "my_env.py").write_text("size = 3\n")
    (tmp_path / "my_package").mkdir()
    (tmp_path / "my_package" / "__init__.py").write_text("")
    (tmp_path / "my_package" / "table.csv").write_text("1,2\n" * 1000)
    (tmp_path / "runs").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    names = ("my_env", "my_package")
    for name in names:
        importlib.import_module(name)
    yield tmp_path
    for name in names:
        del sys.modules[name]


def test_the_project_and_the_users_own_modules_are_sent(own: Path) -> None:
    """Modules of Python and of installed libraries are not, nor what lies beside the user's."""
    sent = {Path(path) for path in code_for_nodes()["py_modules"]}
    assert {ROOT / "connectfour", ROOT / "heuristics", ROOT / "callbacks"} <= sent
    assert {path for path in sent if path.is_relative_to(own)} == {own / "my_env.py", own / "my_package"}
    assert not [path for path in sent if path.name in {"numpy", "json", "ray", "pytest", "site.py"}]


def test_a_package_full_of_data_is_not_sent(own: Path) -> None:
    """The message says what to do with it."""
    os.truncate(own / "my_package" / "table.csv", 200_000_000)
    with pytest.raises(ClusterError, match=r"my_package has 200 MB .* move its data out of it, or install it on every"):
        code_for_nodes()


def test_a_submitted_job_that_brings_modules_brings_them_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray refuses a driver that sends more."""
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", json.dumps({"runtime_env": {"py_modules": ["gcs://x.zip"]}}))
    assert code_for_nodes() == {}
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", json.dumps({"runtime_env": {"working_dir": "gcs://x.zip"}}))
    assert code_for_nodes()["py_modules"]


def test_an_edited_checkout_has_another_fingerprint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiled files do not count."""
    for name in code.PACKAGES:
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("*.gz"))
    here = fingerprint()
    monkeypatch.setattr(code, "_folder", tmp_path.joinpath)
    (tmp_path / "heuristics" / "extra.pyc").write_bytes(b"0")
    assert fingerprint() == here
    (tmp_path / "heuristics" / "linear.py").write_text("# edited\n")
    assert fingerprint() != here


def test_the_packages_that_ray_has_unpacked_are_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each in a folder of its own; one from elsewhere is not."""
    monkeypatch.setattr(package_check, "_HOME", tmp_path / "_ray_pkg_1")
    assert package_check._is_ours(tmp_path / "_ray_pkg_2" / "heuristics" / "__init__.py", "heuristics")
    assert not package_check._is_ours(tmp_path / "mine" / "heuristics" / "__init__.py", "heuristics")
    assert not package_check._is_ours(Path("/_ray_pkg_2/heuristics/__init__.py"), "heuristics")
    monkeypatch.setattr(package_check, "_HOME", tmp_path / "checkout")
    assert not package_check._is_ours(tmp_path / "_ray_pkg_2" / "heuristics" / "__init__.py", "heuristics")


HERE = replace(
    own_facts(),
    versions={"python": "3.11.7", "ray": "2.60.0", "torch": "2.13.0+cpu", "connectfour": "0.1.0"},
    code="12ab",
)


@pytest.mark.parametrize("versions", [{}, {"torch": "2.13.0+cu130"}, {"python": "3.11.9"}])
def test_a_node_fits(versions: dict[str, str]) -> None:
    """Other builds of Torch and patches of Python do."""
    assert compare(HERE, replace(HERE, versions={**HERE.versions, **versions})) == ""


@pytest.mark.parametrize(
    ("versions", "sentence"),
    [
        ({"python": "3.12.7"}, "has Python 3.12.7 and this machine 3.11.7: install the same version on both"),
        ({"ray": "2.59.0"}, "has Ray 2.59.0 and this machine 2.60.0: install the same version on both"),
        ({"torch": "2.12.0+cu130"}, "has Torch 2.12.0+cu130 and this machine 2.13.0+cpu: install the same version"),
        ({"connectfour": "0.0.9"}, "runs connectfour 0.0.9 and this machine 0.1.0: remove the copy there that hides"),
    ],
)
def test_a_node_with_another_version_does_not_fit(versions: dict[str, str], sentence: str) -> None:
    """Both versions are named, and what to do."""
    assert compare(HERE, replace(HERE, versions={**HERE.versions, **versions})).startswith(sentence)


def test_a_node_that_lacks_something_does_not_fit() -> None:
    """Torch, another library, or the code that was sent."""
    without = {name: found for name, found in HERE.versions.items() if name != "torch"}
    assert compare(HERE, replace(HERE, versions=without)).startswith(
        "has no Torch and this machine has 2.13.0+cpu: inst"
    )
    assert compare(HERE, replace(HERE, missing=("pyarrow",))).startswith(
        "lacks pyarrow, which this machine has: install"
    )
    assert "(ModuleNotFoundError: no)" in compare(HERE, replace(HERE, code="", trouble="ModuleNotFoundError: no"))
    assert compare(HERE, replace(HERE, code="34cd")).startswith("runs another state of connectfour 0.1.0: remove the")
