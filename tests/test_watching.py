"""A league is watched while it runs: metrics, Prometheus, Grafana's dashboard and Ray's own."""

from __future__ import annotations

import json
import math
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Self

import httpx
import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from benchmarks.watching import DEPLOY, Prometheus, panels, prometheus_config, running_prometheus, with_runs
from callbacks.progress import ProgressCallback
from connectfour.cluster.dashboard import METRICS_PORT, dashboard_options, describe_dashboard
from connectfour.cluster.gauges import QUANTITIES, Gauges
from connectfour.learning.ppo.settings import PPORunSettings
from connectfour.runs.folder import RunFolder
from connectfour.settings.schema import StopSettings
from tests.commands import call, command
from tests.debian import program_of
from tests.test_progress import result

ROOT = Path(__file__).resolve().parent.parent
QUERIES = [target["expr"] for panel in panels() for target in panel["targets"]]
TINY = ("network.width=16", "network.layers=1", "rollout.envs_per_runner=64", "stop.minutes=10")
TINY_APEX = ("algorithm=apex", "apex.batch_size=128", "replay.capacity=8192", "replay.learning_starts=1024")


def wait_until(happened: Callable[[], Any]) -> None:
    """Wait for something; the test's own limit of time ends it."""
    while not happened():
        time.sleep(0.2)


def scrape(address: str) -> dict[str, dict[str, float]]:
    """Return what is served, by metric and by the tags that we set."""
    found: dict[str, dict[str, float]] = {}
    for name, labels, value in re.findall(
        r"^(ray_connectfour_\w+){(.*)} (\S+)$", httpx.get(address, trust_env=False).text, flags=re.MULTILINE
    ):
        tags = dict(re.findall(r'(\w+)="([^"]*)"', labels))
        found.setdefault(name, {})["/".join(filter(None, (tags["run"], tags.get("process"))))] = float(value)
    return found


def test_a_training_iteration_is_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under the run's name; what is not known yet is left out."""
    served: dict[str, dict[str, float]] = {}

    class Recorded:
        def __init__(self, name: str, *_: object, **__: object) -> None:
            self._name = f"ray_{name}"

        def set(self, value: float, tags: dict[str, str]) -> None:
            served.setdefault(self._name, {})["/".join(tags.values())] = value

    monkeypatch.setattr("connectfour.cluster.gauges.Gauge", Recorded)
    (tmp_path / "first").mkdir()
    settings = PPORunSettings(stop=StopSettings(minutes=5))
    callback = ProgressCallback(RunFolder(tmp_path / "first"), settings)
    callback.on_trial_result(0, [], None, result(3, graded=math.nan))
    waiting = {"learner": 0.25, "actor_1": 0.5}
    of_apex = {"waiting": waiting, "replay_buffer": {"size": 4096.0}}
    (tmp_path / "second").mkdir()
    callback = ProgressCallback(RunFolder(tmp_path / "second"), settings)
    callback.on_trial_result(0, [], None, {**result(5, graded=0.75), **of_apex})
    assert served["ray_connectfour_env_steps"] == {"first": 3000, "second": 5000}
    assert served["ray_connectfour_win_rate"] == {"first": 0.5, "second": 0.5}
    assert served["ray_connectfour_newest_score"]["first"] == 0.4
    assert served["ray_connectfour_league_size"]["first"] == 6
    assert served["ray_connectfour_env_steps_per_second"]["first"] == 2000
    assert served["ray_connectfour_value_preserving"] == {"second": 0.75}
    assert served["ray_connectfour_replay_size"] == {"second": 4096}
    assert served["ray_connectfour_waiting"] == {"second/learner": 0.25, "second/actor_1": 0.5}


def test_only_declared_quantities_are_published() -> None:
    with pytest.raises(KeyError, match="win_rat"):
        Gauges("first").publish({"win_rat": 0.5})


def test_a_ray_without_a_dashboard_says_so(ray_session: None) -> None:
    assert "runs without a dashboard: start it with ray start" in describe_dashboard()


def test_two_commands_that_start_at_once_choose_different_ports() -> None:
    """And none at which something listens."""

    def chosen(options: dict[str, Any]) -> int:
        port: int = options["_metrics_export_port"]
        return port

    with dashboard_options(wanted=True) as one, dashboard_options(wanted=True) as other:
        first, second = chosen(one), chosen(other)
        assert METRICS_PORT <= first < second
    with dashboard_options(wanted=True) as again:
        assert chosen(again) == first
    with socket.create_server(("127.0.0.1", first)), dashboard_options(wanted=True) as one:
        assert chosen(one) > first


@pytest.mark.parametrize(
    "arguments",
    [
        ("train", "--run-dir", "new"),
        ("train", "--resume", "old"),
        ("rank", "heuristic:linear", "--output", "new"),
        ("experiment", "run", ROOT / "configs/experiments/quick.yaml", "--output", "new"),
    ],
    ids=["train", "resume", "rank", "experiment"],
)
def test_without_the_extra_a_sentence_says_what_to_install(
    arguments: tuple[object, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is written."""
    monkeypatch.setitem(sys.modules, "ray.dashboard.optional_deps", None)
    folder = RunFolder(tmp_path / "old")
    folder.path.mkdir()
    folder.write_settings(PPORunSettings(stop=StopSettings(minutes=5)))
    done = call(*arguments, "--dashboard", cwd=tmp_path)
    sentence = "--dashboard needs Ray's dashboard: pip install 'connectfour-league[dashboard]'"
    assert (done.returncode, done.stderr) == (2, f"connectfour: {sentence}\n")
    assert not (tmp_path / "new").exists()


def test_the_documented_metrics_are_those_that_are_published() -> None:
    """Name, meaning and unit of each."""
    rows = re.findall(
        r"^\| `(ray_\w+)` +\| (.+?) +\| (.+?) +\|$", (ROOT / "docs/watching.md").read_text(), re.MULTILINE
    )
    expected = [
        (each.served_as, each.meaning + (f", by `{each.by}`" if each.by else ""), each.unit) for each in QUANTITIES
    ]
    assert rows == expected


def test_grafana_draws_every_metric_with_its_unit() -> None:
    """A panel each or two in one, side by side without gaps, by run and process, only of the chosen runs."""
    units = {
        "share": "percentunit",
        "members": "short",
        "env steps": "suffix: steps",
        "env steps per second": "suffix: steps/s",
        "transitions": "suffix: transitions",
        "games per second": "suffix: games/s",
    }
    drawn = {}
    for panel in panels():
        assert panel["title"]
        assert panel["description"]
        for target in panel["targets"]:
            drawn[target["expr"]] = panel["fieldConfig"]["defaults"]["unit"]
    assert drawn == {
        f"max by (run{f', {each.by}' if each.by else ''}) ({each.served_as}" + '{run=~"$run"})': units[each.unit]
        for each in QUANTITIES
    }
    places = [tuple(panel["gridPos"][key] for key in ("x", "y", "w", "h")) for panel in panels()]
    assert places == [(12 * (number % 2), number // 2 * 8, 12, 8) for number in range(len(places))]
    assert len({panel["id"] for panel in panels()}) == len(panels())


def lost_keys(given: Any, kept: Any, path: str = "") -> list[str]:
    """Return the paths of what is in ``given`` and not in ``kept``."""
    if isinstance(given, dict):
        return [
            lost
            for key, value in given.items()
            for lost in (lost_keys(value, kept[key], f"{path}/{key}") if key in kept else [f"{path}/{key}"])
        ]
    if isinstance(given, list):
        return [lost for number, each in enumerate(given) for lost in lost_keys(each, kept[number], f"{path}/{number}")]
    return [] if given == kept else [path]


def in_grafanas_words(dashboard: dict[str, Any]) -> Any:
    """Return a dashboard as Grafana's own models read it, which drop what they do not know."""
    register_default_plugins()  # without them, whatever a panel holds is taken as it is
    return json.loads(json.dumps(Dashboard.from_json(dashboard), cls=JSONEncoder))


def test_grafana_knows_every_key_of_the_dashboard() -> None:
    """In its own models for Python; a key with a typo is found anywhere."""
    dashboard = json.loads((DEPLOY / "grafana.json").read_text())
    assert lost_keys(dashboard, in_grafanas_words(dashboard)) == []
    places: list[tuple[list[str | int], str]] = [
        ([], "refresh"),
        (["panels", 2], "gridPos"),
        (["panels", 0, "targets", 0], "legendFormat"),
        (["panels", 0, "fieldConfig", "defaults"], "unit"),
        (["templating", "list", 1], "includeAll"),
    ]
    for place, key in places:
        wrong = json.loads(json.dumps(dashboard))
        part = wrong
        for each in place:
            part = part[each]
        part[f"{key}x"] = part.pop(key)
        path = "/".join(["", *map(str, place), f"{key}x"])
        assert lost_keys(wrong, in_grafanas_words(wrong)) == [path]


def promtool(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run Prometheus' tool."""
    program = program_of("prometheus", "check the files for Prometheus and Grafana", ["promtool"])
    return subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, check=False)


def test_promtool_accepts_the_configuration_and_the_queries(tmp_path: Path) -> None:
    """And not one with a typo."""
    (tmp_path / "nodes.json").write_text('[{"labels": {"job": "ray"}, "targets": ["10.0.0.1:8080"]}]')
    config, rules = prometheus_config(tmp_path, ["127.0.0.1:8080"]), tmp_path / "rules.yml"

    def check_rules(queries: list[str]) -> subprocess.CompletedProcess[str]:
        listed = [{"record": f"query{number}", "expr": with_runs(each)} for number, each in enumerate(queries)]
        rules.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": listed}]}))
        return promtool("check", "rules", rules)

    good = promtool("check", "config", config)
    assert good.returncode == 0, good.stderr
    assert "WARNING" not in good.stdout + good.stderr
    good = check_rules(QUERIES)
    assert good.returncode == 0, good.stderr
    assert f"{len(QUERIES)} rules found" in good.stdout
    assert check_rules([*QUERIES[:-1], QUERIES[-1].replace("max by", "max buy")]).returncode == 1
    config.write_text(config.read_text().replace("static_configs", "static_config"))
    assert promtool("check", "config", config).returncode == 1


class Watched:
    """A command with ``--dashboard``, and where it says that it is watched."""

    def __init__(self, *arguments: object, cwd: Path) -> None:
        """Start it."""
        self.process = subprocess.Popen(
            command(*arguments, "--dashboard"), cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def addresses(self) -> tuple[str, str]:
        """Wait until it says where its dashboard and its metrics are, and return both."""
        printed = []
        for line in self.process.stdout or []:
            printed.append(line)
            found = re.search(r"The dashboard is at (\S+), and Prometheus finds metrics at (\S+)\.$", line)
            if found:
                return found[1], found[2]
        pytest.fail("".join(printed))

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *error: object) -> None:
        self.process.send_signal(signal.SIGINT)
        self.process.communicate()


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[list[tuple[str, str]], Prometheus, list[int]]]:
    """A league that trains and a ranking, both watched by Prometheus: their addresses, Prometheus, their processes."""
    program = program_of("prometheus", "collect metrics")
    folder = tmp_path_factory.mktemp("watched")
    settings = [part for each in (*TINY, *TINY_APEX) for part in ("-p", each)]
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_metrics_report_interval_ms", "1000")
        trained = stack.enter_context(Watched("train", "--run-dir", "league", *settings, cwd=folder))
        addresses = [trained.addresses()]
        ranked = stack.enter_context(
            Watched("rank", "heuristic:linear", "--output", "ladder", "--matches", 1_000_000, cwd=folder)
        )
        addresses.append(ranked.addresses())
        targets = [address.removeprefix("http://").removesuffix("/metrics") for _, address in addresses]
        prometheus = stack.enter_context(running_prometheus(program, folder, targets))
        yield addresses, prometheus, [trained.process.pid, ranked.process.pid]


@pytest.mark.cluster
def test_prometheus_collects_every_metric_of_a_league_and_a_ranking(watched: Any) -> None:
    """Grafana's queries give values, each of its own run only."""
    _, prometheus, _ = watched
    runs = {}
    for query in QUERIES:
        wait_until(partial(prometheus.ask, with_runs(query)))
        series = prometheus.ask(with_runs(query))
        assert all(math.isfinite(float(each["value"][1])) for each in series)
        runs[query] = {each["metric"]["run"] for each in series}
        assert prometheus.ask(with_runs(query, "another")) == []
    assert runs == {query: {"ladder" if "games_per_second" in query else "league"} for query in QUERIES}
    waiting = next(query for query in QUERIES if "waiting" in query)
    processes = {each["metric"]["process"] for each in prometheus.ask(with_runs(waiting))}
    assert {"learner", "actor_1", "shard_1"} <= processes | {"shard_1"}
    assert len(prometheus.ask('up{job="connectfour"} == 1')) == 2


def listening(root: int) -> set[str]:
    """Return the addresses at which a process and its descendants listen."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    family = [root]
    for each in family:
        family += children.get(each, [])
    sockets = set()
    for process in family:
        for file in Path(f"/proc/{process}/fd").glob("*"):
            try:
                sockets.add(file.readlink().name.removeprefix("socket:[").removesuffix("]"))
            except OSError:
                continue
    lines = [line.split() for kind in ("tcp", "tcp6") for line in Path("/proc/net", kind).read_text().splitlines()[1:]]
    return {line[1].partition(":")[0] for line in lines if line[3] == "0A" and line[9] in sockets}


@pytest.mark.cluster
def test_the_dashboard_answers_and_everything_listens_on_loopback(watched: Any) -> None:
    """The second command found other ports than the first."""
    addresses, _, processes = watched
    for dashboard, _ in addresses:
        assert "<title>Ray Dashboard</title>" in httpx.get(dashboard, trust_env=False).text
    assert len({*addresses[0], *addresses[1]}) == 4
    for process in processes:
        assert listening(process) == {"0100007F", "0000000000000000FFFF00000100007F"}


@pytest.mark.cluster
def test_without_the_extra_nothing_listens_and_nothing_breaks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray and a ranking work as they do with it."""
    missing = 'raise ModuleNotFoundError("No module named aiohttp_cors", name="aiohttp_cors")\n'
    (tmp_path / "aiohttp_cors.py").write_text(missing)
    (tmp_path / "rank.py").write_text(
        "import ray, connectfour as cf\n"
        "from connectfour.cluster.session import ray_session\n"
        "from connectfour.tournament.plan import Limits\n"
        "with ray_session():\n"
        "    print('ports', [node['MetricsExportPort'] for node in ray.nodes()])\n"
        "    print('games', len(cf.rank(['heuristic:linear'], 'ladder', Limits(matches=20)).log.games))\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{ROOT}")
    done = subprocess.run([sys.executable, "rank.py"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "ports [-1]" in done.stdout or "ports [0]" in done.stdout
    assert "games 20" in done.stdout
