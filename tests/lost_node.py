"""Two Ray nodes; the one that holds a shard and its answer is lost. Run as a program: it starts a Ray of its own."""

from __future__ import annotations

import logging
import sys
import time

import numpy as np
import ray
from ray.cluster_utils import Cluster

from connectfour.apex.options import ReplayOptions
from connectfour.apex.replay.replay import Replay
from connectfour.apex.replay.shard import ReplayShard

MEMORY = 100 * 2**20


class SpreadReplay(Replay):
    """Its shards begin on a node each; the one that replaces a shard may be anywhere."""

    def _start(self, number: int) -> object:
        options = {} if self.replaced else {"resources": {("here", "there")[number]: 0.1}}
        actor = ray.remote(num_cpus=0)(ReplayShard).options(**options)
        return actor.remote(self._capacity, self._options.alpha, (number, len(self.replaced)))


def main() -> None:
    """Lose a node after its shard has answered and before the answer was fetched."""
    head = {"num_cpus": 1, "resources": {"here": 1}, "object_store_memory": MEMORY}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    node = cluster.add_node(num_cpus=1, resources={"there": 1}, object_store_memory=MEMORY)
    ray.init(address=cluster.address, logging_level=logging.ERROR, log_to_driver=False)
    cluster.wait_for_nodes()
    replay = SpreadReplay(ReplayOptions(shards=2, capacity=100_000), patience=60.0, say=print)
    for shard in replay.shards:
        ray.get(shard.add.remote({"x": np.zeros((30_000, 4), np.float32)}, np.ones(30_000)))
    replay.request(32_768, 0.4)
    answers = [request.answer for request in replay._requested]
    ray.wait(answers, num_returns=2, fetch_local=False)
    cluster.remove_node(node, allow_graceful=False)
    while sum(each["Alive"] for each in ray.nodes()) > 1:
        time.sleep(0.1)
    batch = replay.collect()
    assert batch is not None
    sys.stdout.write(f"batch of {len(batch)}, replaced {replay.replaced}\n")
    ray.shutdown()
    cluster.shutdown()


if __name__ == "__main__":
    main()
