"""Where the processes of a run may live: the section ``resources`` as RLlib's options.

    trainer       num_cpus_for_main_process, and num_gpus_per_learner if it learns itself
    env_runners   num_cpus_per_env_runner, ...
    learners      num_cpus_per_learner, ...

Tune reserves them all at once, as the bundles of one placement group. Replay shards are outside of it: they shall be
spread over the nodes, and a placement group packs.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import ray
import torch

from connectfour.cluster.offer import Offer, cluster_offer, node_offer
from connectfour.errors import ClusterError, ConfigError
from connectfour.rllib.parted_config import PartedConfig
from connectfour.settings.resources import LearningDemand
from connectfour.settings.schema import RunSettings
from connectfour.system.need import Need


def place(config: PartedConfig, settings: RunSettings) -> None:
    """Translate the section ``resources``; GPUs that it leaves open are those of Ray, before Ray of this machine."""
    parts = settings.resources
    trainer, runners, learners = parts.trainer, parts.env_runners, parts.learners
    config.resources(
        num_cpus_for_main_process=_as_int(trainer.num_cpus),
        custom_resources_for_main_process=_custom(trainer),
    )
    config.env_runners(
        num_cpus_per_env_runner=_as_int(runners.num_cpus),
        num_gpus_per_env_runner=0 if settings.rollout.env_runner == "lockstep" else runners.num_gpus,
        custom_resources_per_env_runner=dict(runners.tags),
    )
    config.memory_per_env_runner = int(runners.amounts.get("memory", 0))
    config.learners(num_gpus_per_learner=gpus_per_learner(settings))
    if settings.learners:
        config.learners(num_cpus_per_learner=_as_int(learners.num_cpus), custom_resources_per_learner=_custom(learners))


def _custom(demand: LearningDemand) -> dict[str, float]:
    return {name: amount for name, amount in demand.amounts.items() if name not in {"CPU", "GPU"}}


def _as_int(cores: float) -> Any:
    return int(cores) if cores == int(cores) else cores


def gpus_per_learner(settings: RunSettings) -> float:
    """Return the GPUs of the process that learns: the trainer, or each remote learner."""
    demand: LearningDemand = settings.resources.learners if settings.learners else settings.resources.trainer
    if demand.num_gpus is not None:
        return demand.num_gpus
    learners = max(1, settings.learners)
    offer = cluster_offer() if ray.is_initialized() else None
    if offer is None or offer.is_here:  # Torch may know fewer GPUs than Ray: perhaps it was built without CUDA
        return min(1.0, torch.cuda.device_count() / learners)
    return gpu_share(offer, demand.amounts, learners)


def gpu_share(offer: Offer, amounts: dict[str, float], learners: int) -> float:
    """Return the GPUs of each of ``learners`` processes that also ask for ``amounts``: one, a share of one, or none."""
    if offer.copies({**amounts, "GPU": 1.0}) >= learners:
        return 1.0
    share = offer.total("GPU") / learners
    return share if share and offer.copies({**amounts, "GPU": share}) >= learners else 0.0


def needs_of(config: Any) -> list[Need]:
    """Return what a run with ``config``, a ``LeagueConfig``, needs before it can begin."""
    settings, gpus = config.settings, config.num_gpus_per_learner
    who = "learner" if settings.learners else "trainer"
    needs: tuple[Need, ...] = settings.needs
    return [
        replace(need, amounts={**need.amounts, "GPU": gpus}) if gpus and need.who == who else need for need in needs
    ]


def fit_to_node(config: Any) -> None:
    """Give the trainer a GPU only if the node has one that the trainer must run on, if it must run on one.

    Raises:
        ClusterError: that node can never give what the trainer asks for.
    """
    if config.trainer_node is None:
        return
    settings, offer = config.settings, node_offer(config.trainer_node)
    if settings.learners == 0 and settings.resources.trainer.num_gpus is None:
        config.learners(num_gpus_per_learner=gpu_share(offer, settings.resources.trainer.amounts, 1))
    refusal = offer.refusal([need for need in needs_of(config) if need.who == "trainer"])
    if refusal:
        raise ClusterError(
            f"storage = machine keeps the trainer on the node of this command, where {refusal}; or set storage = shared"
        )


def check_gpu(config: Any) -> None:
    """Check, in the trainer, that Torch finds the GPU that the trainer has been given to learn on.

    Raises:
        ConfigError: it does not.
    """
    if config.num_learners == 0 and config.num_gpus_per_learner > 0 and not torch.cuda.is_available():
        raise ConfigError(
            f"the trainer has {config.num_gpus_per_learner:g} GPU on the node {ray.util.get_node_ip_address()} and "
            "Torch finds none there: install Torch with CUDA on that node, or set resources.trainer.num_gpus=0"
        )
