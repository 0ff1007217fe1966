"""Draw the curves of deploy/grafana.json from what a real Prometheus has collected: docs/watching.png.

    python -m benchmarks.watching --minutes 2 --output docs/watching.png

PPO and Ape-X train at the same time, then one of them is ranked, each with ``--dashboard``, while Prometheus (Debian's
package) collects their metrics. At the end it is asked what Grafana would ask.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
from matplotlib.figure import Figure

DEPLOY = Path(__file__).resolve().parent.parent / "deploy"
TARGETS = ("127.0.0.1:8080", "127.0.0.1:8081")
"""Where two commands with ``--dashboard`` serve their metrics, as deploy/prometheus.yml has it."""
DISCOVERY = "/tmp/ray/prom_metrics_service_discovery.json"  # noqa: S108  # Ray's own
"""The file in which a cluster lists its nodes, as deploy/prometheus.yml has it."""
_INTERVAL = "scrape_interval: 10s"
_APEX = ("algorithm=apex", "replay.learning_starts=20000")
_PARTS_OF_TIME = 120


class Prometheus:
    """Asks a Prometheus."""

    def __init__(self, address: str) -> None:
        """Ask the one at ``address``, such as ``http://127.0.0.1:9090``."""
        self._http = httpx.Client(base_url=address, timeout=30, trust_env=False)

    @property
    def is_ready(self) -> bool:
        """Whether it answers."""
        try:
            return self._http.get("/-/ready").is_success
        except httpx.TransportError:
            return False

    def ask(self, query: str) -> list[dict[str, Any]]:
        """Return the series of a query as they are now: each a ``metric`` (labels) and a ``value`` (time and text)."""
        return self._result("query", query=query)

    def ask_since(self, query: str, start: float) -> list[dict[str, Any]]:
        """Return the series of a query since ``start``, in seconds since the epoch: each with its ``values``."""
        end = time.time()
        return self._result("query_range", query=query, start=start, end=end, step=(end - start) / _PARTS_OF_TIME)

    def _result(self, kind: str, **parameters: Any) -> list[dict[str, Any]]:
        answer = self._http.get(f"/api/v1/{kind}", params=parameters).raise_for_status().json()
        series: list[dict[str, Any]] = answer["data"]["result"]
        return series


def prometheus_config(folder: Path, targets: Sequence[str]) -> Path:
    """Copy deploy/prometheus.yml into ``folder``, asking ``targets`` every 3 s and no cluster; return the file."""
    text = (DEPLOY / "prometheus.yml").read_text()
    own = (
        (json.dumps(list(TARGETS)), json.dumps(list(targets))),
        (_INTERVAL, "scrape_interval: 3s"),
        (DISCOVERY, f"{folder / 'nodes.json'}"),
    )
    for before, after in own:
        if before not in text:
            raise SystemExit(f"deploy/prometheus.yml lacks {before}: change benchmarks/watching.py with it")
        text = text.replace(before, after)
    file = folder / "prometheus.yml"
    file.write_text(text)
    return file


@contextmanager
def running_prometheus(program: str, folder: Path, targets: Sequence[str] = TARGETS) -> Iterator[Prometheus]:
    """Run Prometheus on loopback in ``folder``, with ``prometheus_config``."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    own = (f"--config.file={prometheus_config(folder, targets)}", f"--storage.tsdb.path={folder / 'data'}")
    with (folder / "prometheus.log").open("w") as log:
        server = subprocess.Popen([program, *own, f"--web.listen-address={address}"], stderr=log)
        try:
            prometheus = Prometheus(f"http://{address}")
            while not prometheus.is_ready:
                if server.poll() is not None:
                    raise SystemExit(f"Prometheus has ended: {(folder / 'prometheus.log').read_text()}")
                time.sleep(0.1)
            yield prometheus
        finally:
            server.terminate()
            server.wait()


def panels() -> list[dict[str, Any]]:
    """Return the panels of deploy/grafana.json."""
    found: list[dict[str, Any]] = json.loads((DEPLOY / "grafana.json").read_text())["panels"]
    return found


def with_runs(query: str, runs: str = ".+") -> str:
    """Return a query of Grafana with its variable ``run`` replaced by a regular expression."""
    return query.replace("$run", runs)


def draw(prometheus: Prometheus, start: float, picture: Path) -> None:
    """Draw every panel from ``start`` on, in seconds since the epoch, into ``picture``."""
    found = panels()
    figure = Figure(figsize=(11, 2.4 * -(-len(found) // 2)), layout="constrained")
    for axes, panel in zip(figure.subplots(-(-len(found) // 2), 2).flat, found, strict=False):
        for target in panel["targets"]:
            for series in prometheus.ask_since(with_runs(target["expr"]), start):
                name = re.sub(r"{{(\w+)}}", r"{\1}", target["legendFormat"]).format_map(series["metric"])
                at, values = zip(*series["values"], strict=True)
                axes.plot([(each - start) / 60 for each in at], [float(value) for value in values], label=name)
        unit = panel["fieldConfig"]["defaults"]["unit"]
        if unit == "percentunit":
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        else:
            axes.set_ylabel(unit.removeprefix("suffix:").strip() if unit != "short" else "")
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.6g}")
            axes.set_ylim(bottom=0)
        axes.set_title(panel["title"], fontsize=10)
        axes.set_xlim(left=0)
        if axes.lines:
            axes.legend(fontsize=7, frameon=False)
        axes.grid(alpha=0.3)
    for axes in figure.axes[-2:]:
        axes.set_xlabel("minutes")
    figure.savefig(picture, dpi=110)


def main() -> None:
    """Train, rank, collect, and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=2.0, help="how long both train")
    parser.add_argument("--output", type=Path, default=Path("watching.png"), help="PNG file to draw")
    wanted = parser.parse_args()
    program = shutil.which("prometheus") or sys.exit("Prometheus is not installed: install Debian's package prometheus")
    with TemporaryDirectory() as folder, running_prometheus(program, Path(folder)) as prometheus:
        start = time.time()
        limit = f"stop.minutes={wanted.minutes}"
        trainings = [_command(Path(folder), "ppo", limit), _command(Path(folder), "apex", limit, *_APEX)]
        for process in trainings:
            if process.wait():
                sys.exit(f"training has ended with exit code {process.returncode}")
        ranked = ("rank", f"{folder}/ppo", "--output", f"{folder}/ranking of ppo", "--minutes", "0.7", "--dashboard")
        subprocess.run([sys.executable, "-m", "connectfour", *ranked], check=True)
        draw(prometheus, start, wanted.output)
    print(wanted.output)


def _command(folder: Path, name: str, *settings: str) -> subprocess.Popen[bytes]:
    """Train in ``folder``/``name``."""
    given = [part for each in (*settings, "network.width=128", "checkpoint.minutes=5") for part in ("-p", each)]
    command = ["train", "--config", "configs/quick.yaml", "--run-dir", str(folder / name), "--dashboard", *given]
    return subprocess.Popen([sys.executable, "-m", "connectfour", *command])


if __name__ == "__main__":
    main()
