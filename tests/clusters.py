"""Ray clusters of real processes on this machine, each with its own folder, ports and token."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from shutil import rmtree

from tests.web import free_port

_STARTED = "Ray runtime started"
_OF_RAY = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_ADDRESS", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER")


def environment(home: Path, changes: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return this process's environment without what its own Ray has set, with another home and ``changes``."""
    kept = {name: value for name, value in os.environ.items() if name not in _OF_RAY}
    return {**kept, "HOME": str(home), "RAY_raylet_start_wait_time_s": "120", **(changes or {})}


class RayNode:
    """A process of ``ray start``, which the constructor does not wait for.

    Attributes:
        address: of its cluster's head.
    """

    def __init__(
        self,
        *options: str,
        env: Mapping[str, str],
        head: str | None = None,
        cpus: int = 1,
        cwd: Path | None = None,
        hidden: Path | None = None,
    ) -> None:
        """Start a node; it sees an empty folder in place of ``hidden``, which needs the right to unshare mounts."""
        self.address = head or f"127.0.0.1:{free_port()}"
        # Ray's sockets are in this folder, and their names must not be long.
        self._folder = Path(tempfile.mkdtemp(prefix="ray", dir="/tmp"))
        role = ["--address", head] if head else ["--head", "--port", self.address.rpartition(":")[2]]
        if not head:
            role += ["--include-dashboard=false"]
        fixed = ["--node-ip-address", "127.0.0.1", "--temp-dir", str(self._folder), "--num-cpus", str(cpus)]
        fixed += ["--object-store-memory", "80000000", "--disable-usage-stats"]
        command = [str(Path(sys.executable).with_name("ray")), "start", *role, *fixed, "--block", *options]
        if hidden:
            script = 'mount -t tmpfs none "$0" && exec "$@"'
            command = ["unshare", "--mount", "sh", "-c", script, str(hidden), *command]
        self._process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=dict(env),
            cwd=cwd or self._folder,
        )

    def wait(self) -> None:
        """Wait until it has started."""
        said = []
        for line in self._process.stdout or ():
            said.append(line)
            if _STARTED in line:
                return
        raise AssertionError("".join(said))

    def end(self) -> None:
        """End it and the processes of its node, and remove its files."""
        self._process.send_signal(signal.SIGTERM)
        self._process.communicate()
        rmtree(self._folder, ignore_errors=True)


@contextmanager
def started(*nodes: RayNode) -> Iterator[None]:
    """Wait until all nodes have started, and end them after the context, the first one last."""
    with ExitStack() as stack:
        for node in nodes:
            stack.callback(node.end)
        for node in nodes:
            node.wait()
        yield
