"""The Dockerfile and the Compose cluster without Docker: their steps and commands, run in a clean folder."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from connectfour.version import __version__
from tests.deploy_files import ROOT, commands_in, document, read_dockerfile
from tests.web import free_port

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]

_STARTED = "Ray runtime started"
# These change the machine that they run on; they are all that is left out.
LEFT_OUT = ("apt-get update ", "useradd ")


class Image:
    """What the Dockerfile builds, below a folder."""

    def __init__(self, root: Path) -> None:
        """Carry out the Dockerfile; ``root`` stands for ``/``."""
        self.root = root
        self.left_out: list[str] = []
        home = root / "home" / "league"
        home.mkdir(parents=True)
        (root / "storage").mkdir()
        self.environment = {"HOME": str(home), "PATH": f"{root / 'bin'}:{os.environ['PATH']}"}
        (root / "bin").mkdir()
        (root / "bin" / "python").symlink_to(sys.executable)
        base = self.environment
        for stage in read_dockerfile():
            self.environment, self.folder = dict(base), root
            for word, rest in stage.steps:
                getattr(self, f"_{word.lower()}")(rest)

    def here(self, text: str) -> str:
        """Return a text with the paths of the image below the folder."""
        for folder in ("/opt/connectfour", "/src", "/home/league", "/storage"):
            text = text.replace(folder, f"{self.root}{folder}")
        return text

    def run(self, command: list[str], environment: Mapping[str, str] | None = None) -> str:
        """Run a command as a container of the image does, and return what it prints."""
        given = {**self.environment, **(environment or {})}
        done = subprocess.run(command, cwd=self.folder, env=given, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def _arg(self, text: str) -> None:
        name, _, _ = text.partition("=")
        # Which build of Torch pip offers here: the CPU's index need not be reachable.
        self.environment[name] = {"TORCH": "pip"}[name]

    def _workdir(self, text: str) -> None:
        self.folder = Path(self.here(text))
        self.folder.mkdir(parents=True, exist_ok=True)

    def _copy(self, text: str) -> None:
        if text.startswith("--from=build "):
            source, target = text.split()[1:]
            assert source == target
            return
        *sources, target = self.here(text).split()
        for source in sources:
            found, goal = ROOT / source, self.folder / target
            if found.is_dir():
                shutil.copytree(found, goal, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(found, goal)

    def _run(self, text: str) -> None:
        if text.startswith(LEFT_OUT):
            self.left_out.append(text)
        else:
            self.run(["/bin/sh", "-c", self.here(text)])

    def _env(self, text: str) -> None:
        for each in shlex.split(self.here(text)):
            name, _, value = each.partition("=")
            self.environment[name] = value.replace("$PATH", self.environment["PATH"])

    def _user(self, text: str) -> None:
        assert text == "1000"

    def _cmd(self, text: str) -> None:
        assert "Usage: connectfour" in self.run(json.loads(text))


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """The image, built once."""
    return Image(tmp_path_factory.mktemp("image"))


def test_the_image_has_the_locked_versions_and_no_tools(image: Image) -> None:
    """Only steps that would change this machine were left out; the project works outside its sources."""
    assert [text.split()[0] for text in image.left_out] == ["apt-get", "useradd"]
    lock = tomllib.loads((ROOT / "poetry.lock").read_text())["package"]
    locked: dict[str, set[str]] = {}
    for package in lock:
        locked.setdefault(package["name"], set()).add(package["version"])
    listed = json.loads(image.run(["python", "-m", "pip", "list", "--format", "json"]))
    found = {each["name"].lower().replace("_", "-").replace(".", "-"): each["version"] for each in listed}
    assert found.pop("connectfour-league") == __version__
    found.pop("setuptools", None)  # comes with venv
    wrong = {name: version for name, version in found.items() if version.partition("+")[0] not in locked.get(name, ())}
    assert wrong == {}
    assert {"ray", "torch", "aiohttp", "prometheus-client"} <= found.keys()
    assert not {"pytest", "mypy", "ruff", "moto", "hera", "gradio"} & found.keys()
    where = image.run(["python", "-c", "import connectfour; print(connectfour.__file__)"])
    assert where.startswith(f"{image.root}/opt/connectfour/lib/")
    image.run(["connectfour", "match", "heuristic:linear", "heuristic:random", "--games", "4"])


@contextmanager
def running(command: list[str], image: Image, environment: Mapping[str, str]) -> Iterator[None]:
    """Run a node for as long as the context lasts."""
    with subprocess.Popen(
        command,
        cwd=image.folder,
        env={**image.environment, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            assert process.stdout
            lines = []
            for line in process.stdout:
                lines.append(line)
                if _STARTED in line:
                    break
            else:
                raise AssertionError("".join(lines))
            yield
        finally:
            process.terminate()
            process.communicate()


class ComposeCluster:
    """The Compose file's commands, with addresses and ports of this machine, where containers have their own."""

    def __init__(self, secret: Path) -> None:
        """Read the file; ``secret`` is where the token is."""
        self._services = document("compose.yaml")["services"]
        self._port = free_port()
        self._address = f"{socket.gethostbyname(socket.gethostname())}:{self._port}"
        self._secret = secret

    def _fitted(self, part: str) -> str:
        part = part.replace("head:6379", self._address).replace("--port=6379", f"--port={self._port}")
        return part.replace("=8080", f"={free_port()}")

    def command(self, name: str, folder: Path) -> list[str]:
        """Return the command of a service, for a small node with its files in ``folder``."""
        small = ["--num-cpus=2", "--object-store-memory=80000000", f"--temp-dir={folder}"]
        return [*map(self._fitted, self._services[name]["command"]), *small]

    def environment(self, name: str) -> dict[str, str]:
        """Return the environment of a service."""
        given = {key: self._fitted(value) for key, value in self._services[name]["environment"].items()}
        return {**given, "RAY_AUTH_TOKEN_PATH": str(self._secret)}

    def health_check(self) -> list[str]:
        """Return the command that says whether the head is healthy."""
        return [self._fitted(part) for part in self._services["head"]["healthcheck"]["test"][1:]]


def test_the_compose_cluster_trains(image: Image, tmp_path: Path) -> None:
    """Its commands start a head and a worker that share a token; the documented command trains there."""
    secret = tmp_path / "token"
    secret.write_text("a" * 32)
    cluster = ComposeCluster(secret)
    text = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")
    (documented,) = (each for each in commands_in(text) if "/storage/runs/first" in each and each[0] == "train")
    options = [*map(image.here, documented), "-p", "stop.minutes=0.1"]
    inside = cluster.environment("head")  # as "docker compose exec head" has it
    with (
        TemporaryDirectory(prefix="h") as head,  # Ray's sockets need short paths
        TemporaryDirectory(prefix="w") as worker,
        running(cluster.command("head", Path(head)), image, inside),
    ):
        image.run(cluster.health_check(), inside)
        with running(cluster.command("worker", Path(worker)), image, cluster.environment("worker")):
            assert "/4.0 CPU" in image.run(["ray", "status"], inside)
            assert "Done after" in image.run(["connectfour", *options], inside)
    assert (image.root / "storage" / "runs" / "first" / "league" / "manifest.json").is_file()
