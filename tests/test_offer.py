"""What a cluster offers, what it can never give, and what a run asks it for."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from ray.tune.experiment import Trial

from callbacks import start
from callbacks.start import StartCallback
from connectfour.cluster.offer import Offer, Waiting
from connectfour.errors import ClusterError, ConfigError
from connectfour.experiments.schema import ResourceSettings
from connectfour.learning.apex.algorithm import SelfPlayApexConfig
from connectfour.learning.placement import check_gpu, gpu_share, needs_of
from connectfour.learning.ppo.algorithm import SelfPlayPPO, SelfPlayPPOConfig
from connectfour.settings.reading import dump_settings, load_settings, read_demand
from connectfour.settings.resources import Demand, MatchDemand
from connectfour.system.need import Need
from connectfour.system.observer import Observer

CORES = {"CPU": 8.0, "memory": 16e9}
WITH_GPU = {"CPU": 4.0, "GPU": 2.0, "memory": 64e9, "large": 1.0}
TWO_NODES = Offer((CORES, WITH_GPU))


def trainer(**amounts: float) -> Need:
    """Return what a trainer needs."""
    return Need("trainer", "resources.trainer", amounts)


def test_an_offer_says_nodes_cores_and_gpus() -> None:
    """In one line, also where there is no GPU."""
    assert str(TWO_NODES) == "2 nodes, 12 cores, 2 GPUs"
    assert str(Offer((CORES,))) == "1 node, 8 cores, no GPU"


@pytest.mark.parametrize(
    ("needs", "message"),
    [
        ([trainer(CPU=16)], "^the trainer needs 16 cores and no node has more than 8 cores .*lower resources.trainer"),
        ([trainer(GPU=3)], "needs 3 GPUs and no node has more than 2 GPUs .* start a node with GPUs$"),
        ([trainer(memory=1e11)], "needs 100 GB of memory and no node has more than 64 GB of memory"),
        ([trainer(moon=1)], r"needs 1 moon and no node has any .*start a node that has it \(ray start --resources"),
        ([trainer(CPU=8, GPU=1)], "needs 8 cores and 1 GPU on one node and no node has all of it"),
        (
            [trainer(CPU=1), Need("env runner", "resources.env_runners", {"CPU": 1.0}, 12)],
            r"^13 cores are needed and Ray offers 12 cores in all \(1 trainer: 1 core, 12 env runners: 12 cores\)",
        ),
        (
            [Need("env runner", "resources.env_runners", {"CPU": 3.0}, 4)],
            "^4 env runners with 3 cores each are needed and the nodes have room for 3",
        ),
    ],
)
def test_what_a_cluster_can_never_give_is_refused_with_both_numbers(needs: list[Need], message: str) -> None:
    """On one node too, and in all; an autoscaler may start what is missing."""
    with pytest.raises(ClusterError, match=message):
        TWO_NODES.check(needs)
    Offer(TWO_NODES.nodes, grows=True).check(needs)


def test_what_fits_is_not_refused() -> None:
    """Exactly full, with shares of a GPU, with tags, and a process that asks for nothing."""
    runners = Need("env runner", "resources.env_runners", {"CPU": 1.0}, 11)
    TWO_NODES.check([trainer(CPU=1, GPU=0.5, large=1), runners, Need("replay shard", "resources.replay", {}, 99)])
    assert Offer(({"GPU": 1.0},)).copies({"GPU": 1 / 3}) == 3
    assert TWO_NODES.copies({"CPU": 3.0}) == 3


def test_learners_take_the_gpus_that_they_can_use() -> None:
    """A whole one each, or an equal share; none where they could not run, or none is left for each."""
    assert gpu_share(TWO_NODES, {"CPU": 1.0}, 1) == 1.0
    assert gpu_share(TWO_NODES, {"CPU": 1.0}, 4) == 0.5
    assert gpu_share(TWO_NODES, {"CPU": 8.0}, 1) == 0.0
    assert gpu_share(TWO_NODES, {"CPU": 2.0}, 3) == 0.0
    assert gpu_share(Offer((CORES,)), {"CPU": 1.0}, 1) == 0.0


class Clock:
    """Counts seconds by hand."""

    now = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def test_a_wait_is_reported_after_a_while_and_then_every_minute() -> None:
    """And anew when something has come in between."""
    said: list[str] = []
    clock = Clock()
    waiting = Waiting(said.append, first=10.0, every=60.0, clock=clock)
    for clock.now in (0.0, 9.0, 10.0, 11.0, 69.0, 70.0, 71.0):
        waiting.go_on(lambda: f"at {clock.now:g}")
    assert said == ["at 10", "at 70"]
    waiting.over()
    assert not waiting.go_on(str)
    assert waiting.seconds == 0.0


@pytest.fixture
def pending(monkeypatch: pytest.MonkeyPatch) -> Offer:
    """A cluster whose cores are all taken."""
    monkeypatch.setattr(start, "cluster_offer", lambda: TWO_NODES)
    monkeypatch.setattr(start, "placement_group_table", lambda: {"of this run": {"state": "PENDING"}})
    monkeypatch.setattr("ray.available_resources", lambda: {"CPU": 1.0})
    monkeypatch.setattr(start, "_SECONDS_PER_LOOK", 0.0)
    return TWO_NODES


PENDING, RUNNING = SimpleNamespace(status=Trial.PENDING), SimpleNamespace(status=Trial.RUNNING)


@pytest.mark.usefixtures("pending")
def test_a_run_that_waits_for_what_is_busy_says_so_and_goes_on() -> None:
    """For as long as it takes, until it begins."""
    said: list[str] = []
    clock = Clock()
    waiting = Waiting(said.append, clock=clock)
    callback = StartCallback([trainer(CPU=2, GPU=1)], patience=0.0, waiting=waiting)
    for clock.now in (1.0, 11.0, 12.0, 1e6):
        callback.on_step_end(0, [PENDING])
    assert said == 2 * [
        "Training is waiting for the cluster: 2 cores and 1 GPU needed, 1 of 12 cores free, 0 of 2 GPUs free."
    ]
    callback.on_step_end(0, [RUNNING])
    clock.now += 9.0
    callback.on_step_end(0, [PENDING])
    assert len(said) == 2


@pytest.mark.usefixtures("pending")
def test_a_run_whose_processes_start_is_not_said_to_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """It holds its resources; Ctrl-C ends it after its first iteration."""
    monkeypatch.setattr(start, "placement_group_table", lambda: {"of this run": {"state": "CREATED"}})
    said: list[str] = []
    waiting = Waiting(said.append, first=0.0)
    StartCallback([trainer(CPU=2)], interrupted=lambda: True, waiting=waiting).on_step_end(0, [PENDING])
    assert said == []


@pytest.mark.usefixtures("pending")
def test_a_run_that_waits_ends_with_ctrl_c_or_when_its_node_has_gone() -> None:
    """There is no iteration after which it could end, and the node may not come back."""
    with pytest.raises(KeyboardInterrupt):
        StartCallback([trainer(CPU=2)], interrupted=lambda: True).on_step_end(0, [PENDING])
    callback = StartCallback([trainer(moon=1)], Observer(), patience=0.0)
    with pytest.raises(ClusterError, match="has not had what training needs for 0 s: the trainer needs 1 moon"):
        callback.on_step_end(0, [PENDING])
    StartCallback([trainer(moon=1)], patience=1e6).on_step_end(0, [PENDING])


def test_resources_become_options_of_rllib() -> None:
    """Cores, GPUs, memory and tags of each part, in the bundles that Tune reserves."""
    given = [
        "learners=2",
        "resources.trainer={num_cpus: 2, memory_gb: 3, tags: {ssd: 1}}",
        "resources.env_runners={num_cpus: 0.5, memory_gb: 1, tags: {small: 1}}",
        "resources.learners={num_gpus: 0.5, tags: {large: 1}}",
    ]
    settings = load_settings(None, given)
    assert SelfPlayPPO.default_resource_request(SelfPlayPPOConfig.from_settings(settings)).bundles == [
        {"CPU": 2.0, "ssd": 1.0, "memory": 3e9},
        {"CPU": 0.5, "small": 1.0, "memory": 1e9},
        *2 * [{"CPU": 1.0, "GPU": 0.5, "large": 1.0}],
    ]
    assert settings.cores == 5
    assert settings.gpus == 1.0
    alone = load_settings(None, ["rollout.env_runners=0", "resources.trainer={num_cpus: 16, num_gpus: 1}"])
    request = SelfPlayPPO.default_resource_request(SelfPlayPPOConfig.from_settings(alone))
    assert request.bundles == [{"CPU": 16.0, "GPU": 1.0}]
    assert [need.amounts for need in needs_of(SelfPlayPPOConfig.from_settings(alone))] == [{"CPU": 16.0, "GPU": 1.0}]


def test_defaults_ask_for_what_one_machine_has() -> None:
    """A core for the trainer and for each env runner, and nothing for shards."""
    apex = load_settings(None, ["algorithm=apex", "rollout.env_runners=3", "replay.shards=2"])
    assert apex.cores == 4
    config = SelfPlayApexConfig.from_settings(apex)
    assert config.asked_per_shard == {}
    assert config.num_gpus_per_learner == min(1, torch.cuda.device_count())
    asking = load_settings(None, ["algorithm=apex", "resources.replay={num_cpus: 1, memory_gb: 2, tags: {ssd: 1}}"])
    assert SelfPlayApexConfig.from_settings(asking).asked_per_shard == {"CPU": 1.0, "memory": 2e9, "ssd": 1.0}
    assert asking.cores == 3


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["resources.learners.num_cpus=2"], "no effect in this run: with learners=0 the trainer learns"),
        (["learners=1", "resources.trainer.num_gpus=1"], "no effect in this run: with learners=1 they learn"),
        (
            ["rollout.env_runners=0", "resources.env_runners.tags.a=1"],
            "no effect in this run: with rollout",
        ),
        (["resources.env_runners.num_gpus=1"], "no effect in this run: lockstep env runners compute on cores"),
        (["resources.replay.num_cpus=1"], "^resources.replay belongs to algorithm=apex"),
        (["resources.trainer.num_gpus=1.5"], "^resources.trainer.num_gpus = 1.5 is not allowed: choose a whole number"),
        (["resources.trainer.tags.GPU=1"], "^resources.trainer.tags has GPU: 1: name a custom resource"),
        (["resources.trainer.num_cpus=0"], "^resources.trainer.num_cpus = 0 is not allowed"),
        (["resources.trainer.num_cpu=1"], "did you mean 'resources.trainer.num_cpus'"),
    ],
)
def test_resources_that_do_nothing_or_make_no_sense_are_refused(overrides: list[str], message: str) -> None:
    """In one sentence."""
    with pytest.raises(ConfigError, match=message):
        load_settings(None, overrides)


def test_resources_are_stored_and_read_back(tmp_path: Path) -> None:
    """Tags included, and a resumed run may have others."""
    settings = load_settings(None, ["resources.trainer.tags.large=1", "resources.trainer.num_gpus=0"])
    (tmp_path / "config.yaml").write_text(dump_settings(settings))
    assert load_settings(tmp_path / "config.yaml", stored=True) == settings
    assert load_settings(tmp_path / "config.yaml") == settings
    resumed = load_settings(tmp_path / "config.yaml", ["resources.trainer.tags={}"], stored=True)
    assert resumed.resources.trainer.tags == {}


def test_a_ranking_takes_what_its_batches_ask_for() -> None:
    """As KEY=VALUE; mistakes get a sentence."""
    assert read_demand(["num_cpus=2", "tags.large=1"], "--resources") == MatchDemand(num_cpus=2, tags={"large": 1})
    with pytest.raises(ConfigError, match=r"^--resources has no num_gpus: choose one of num_cpus, memory_gb, tags"):
        read_demand(["num_gpus=1"], "--resources")
    with pytest.raises(ConfigError, match=r"^--resources num_cpus=0 is not allowed: input should be greater than 0"):
        read_demand(["num_cpus=0"], "--resources")


def test_a_step_that_holds_nothing_cannot_ask_for_anything() -> None:
    """In a shared Ray, trainings ask for themselves."""
    with pytest.raises(ValueError, match=r"resources\.train asks for GPUs, memory or tags.*write them as train: "):
        ResourceSettings(ray="shared", train=Demand(num_gpus=1))
    assert ResourceSettings(ray="shared", train=Demand(num_cpus=2)).train.num_cpus == 2


def test_a_trainer_whose_torch_knows_no_gpu_says_on_which_node() -> None:
    """RLlib would fail an assertion about local_gpu_idx."""
    given = SimpleNamespace(num_learners=0, num_gpus_per_learner=1.0)
    if not torch.cuda.is_available():
        with pytest.raises(ConfigError, match=r"has 1 GPU on the node [\d.]+ and Torch finds none there: install"):
            check_gpu(given)
    check_gpu(SimpleNamespace(num_learners=0, num_gpus_per_learner=0))


def _two_nodes(*arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.several_nodes", *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.cluster
def test_two_nodes_are_asked_what_they_offer() -> None:
    """The GPU of a node on which nobody drives is found, refusals name a node's limits, and shards are spread."""
    found = _two_nodes()
    assert found["offer"] == "2 nodes, 3 cores, 1 GPU"
    assert found["fits"] == ""
    assert found["too many cores"].startswith("the trainer needs 3 cores and no node has more than 2 cores")
    assert found["unknown tag"].startswith("the env runner needs 1 moon and no node has any")
    assert found["two tags"].startswith("the trainer needs 1 core and 1 here and 1 there on one node and no node has")
    assert found["workers"] == "2 nodes, 1 worker, 3 cores"
    assert found["bundles"] == [{"CPU": 1.0, "GPU": 1.0}, {"CPU": 1.0, "memory": 1e6}]
    assert found["GPUs of a trainer that stays on the head"] == 0
    assert found["a tag that the head lacks"].startswith("storage = machine keeps the trainer on the node of this comm")
    assert found["asked per shard"] == {"memory": 65 * 2**19}
    assert found["shards"] == ["here", "there"]
    assert found["no room for shards"].startswith("2 replay shards have not found room for 1 s: 2 there needed, 0 of 1")


@pytest.mark.cluster
def test_a_run_waits_for_a_busy_node_and_lives_where_its_tags_say(tmp_path: Path) -> None:
    """It says what it found and what it waits for, and begins when that is free."""
    found = _two_nodes(str(tmp_path))
    assert found["said"][0] == "Ray: 2 nodes, 3 cores, 1 GPU."
    waits = [sentence for sentence in found["said"] if "is waiting" in sentence]
    assert waits[0].startswith("Training is waiting for the cluster: 2 cores and 1 there and 1 here needed, ")
    assert "0 of 1 there free" in waits[0]
    assert found["nodes"] == {"SelfPlayPPO": ["there"], "PPOEnvRunner": ["here"]}
    assert found["iterations"] >= 1
