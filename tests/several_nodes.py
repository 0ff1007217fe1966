"""Two Ray nodes with different resources, in a process of their own: prints what was found there as JSON.

The head has a core and the tag ``here``; the other node has two cores, a GPU that Torch does not know, and ``there``.
"""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import ray
from ray._private.state import actors
from ray.cluster_utils import Cluster

from connectfour.apex.options import ReplayOptions
from connectfour.apex.replay.replay import Replay
from connectfour.cluster.offer import Waiting, cluster_offer
from connectfour.errors import ConnectFourError
from connectfour.learning.apex.algorithm import SelfPlayApexConfig
from connectfour.learning.placement import fit_to_node, needs_of
from connectfour.learning.ppo.algorithm import SelfPlayPPO, SelfPlayPPOConfig
from connectfour.matches.runner import check_workers
from connectfour.settings.reading import load_settings
from connectfour.settings.resources import MatchDemand
from connectfour.system.observer import Observer
from connectfour.training.train import train
from tests.leagues import LOCKSTEP, tiny_settings

MEMORY = 80_000_000


def refusal(*overrides: str) -> str:
    """Return why a run with these settings can never begin; empty if it can."""
    try:
        cluster_offer().check(needs_of(SelfPlayPPOConfig.from_settings(load_settings(None, overrides))))
    except ConnectFourError as error:
        return str(error)
    return ""


def kept_here(*overrides: str) -> str:
    """Return why a trainer that must stay on this node can never begin."""
    config = SelfPlayPPOConfig.from_settings(load_settings(None, overrides))
    config.placement(trainer_node=ray.get_runtime_context().get_node_id())
    try:
        fit_to_node(config)
    except ConnectFourError as error:
        return str(error)
    return ""


def nodes_of(kind: str) -> list[str]:
    """Return the tag of the node that each living actor of a class is on."""
    tags = {node["NodeID"]: "there" if "there" in node["Resources"] else "here" for node in ray.nodes()}
    living = [actor for actor in actors().values() if kind in actor["ActorClassName"] and actor["State"] == "ALIVE"]
    return sorted(tags[actor["Address"]["NodeID"]] for actor in living)


def look() -> dict[str, Any]:
    """Return what the cluster offers and refuses, and where shards go."""
    found: dict[str, Any] = {"offer": str(cluster_offer())}
    found["fits"] = refusal("resources.trainer.num_gpus=0")
    found["too many cores"] = refusal("resources.trainer.num_cpus=3", "rollout.env_runners=0")
    found["unknown tag"] = refusal("resources.env_runners.tags.moon=1")
    found["two tags"] = refusal("resources.trainer.tags={here: 1, there: 1}")
    found["workers"] = check_workers(MatchDemand(tags={"there": 1}))
    config = SelfPlayPPOConfig.from_settings(load_settings(None, ["resources.env_runners.memory_gb=0.001"]))
    found["bundles"] = SelfPlayPPO.default_resource_request(config).bundles
    config.placement(trainer_node=ray.get_runtime_context().get_node_id())
    fit_to_node(config)
    found["GPUs of a trainer that stays on the head"] = config.num_gpus_per_learner
    found["a tag that the head lacks"] = kept_here("resources.trainer.tags.there=1")
    apex = SelfPlayApexConfig.from_settings(load_settings(None, ["algorithm=apex", "replay.shards=2"]))
    found["asked per shard"] = apex.asked_per_shard
    replay = Replay(ReplayOptions(shards=2, capacity=1000), asked=apex.asked_per_shard)
    replay.built()
    found["shards"] = nodes_of("ReplayShard")
    said: list[str] = []
    try:
        Replay(ReplayOptions(shards=2, capacity=1000), patience=1.0, say=said.append, asked={"there": 1}).built()
    except ConnectFourError as error:
        found["no room for shards"] = str(error)
    return found


class _Watching(Observer):
    """Keeps what is said, and lets the other process go at the first word about waiting."""

    def __init__(self, holder: Any) -> None:
        self.said: list[str] = []
        self._holder = holder
        self.nodes: dict[str, list[str]] = {}

    def say(self, text: str) -> None:
        self.said.append(text)
        if "is waiting" in text and self._holder is not None:
            ray.kill(self._holder)
            self._holder = None

    def show(self, line: Any, picture: Any = None, *, urgent: bool = False) -> None:
        self.nodes = {kind: nodes_of(kind) for kind in ("SelfPlayPPO", "PPOEnvRunner")}


@ray.remote
class Holder:
    """Holds what it was given until it is killed."""


def wait_and_train(folder: Path) -> dict[str, Any]:
    """Train while another process holds what is needed, until it goes; return what was said, and who was where."""
    holder = Holder.options(resources={"there": 1}).remote()  # type: ignore[attr-defined]
    ray.get(holder.__ray_ready__.remote())
    observer = _Watching(holder)
    wanted = ("resources.trainer.tags.there=1", "resources.trainer.num_gpus=0", "resources.env_runners.tags.here=1")
    limits = ("storage=shared", "rollout.env_runners=1", "stop.minutes=null", "stop.env_steps=4096")
    with patch("callbacks.start.Waiting", partial(Waiting, first=0.5)):
        result = train(tiny_settings(*LOCKSTEP, *limits, *wanted), folder / "run", observer=observer)
    return {"said": observer.said, "nodes": observer.nodes, "iterations": result.last.iteration}


if __name__ == "__main__":
    head = {"num_cpus": 1, "resources": {"here": 1}, "object_store_memory": MEMORY, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    cluster.add_node(num_cpus=2, num_gpus=1, resources={"there": 1}, object_store_memory=MEMORY)
    ray.init(address=cluster.address, log_to_driver=False)
    report = wait_and_train(Path(sys.argv[1])) if len(sys.argv) > 1 else look()
    sys.stdout.write(f"{json.dumps(report)}\n")
    ray.shutdown()
    cluster.shutdown()
