"""The options of Ape-X: each has one name and one definition, in a league's settings and in ``ApexConfig``."""

from __future__ import annotations

from pydantic import Field

from connectfour.settings.base import Settings


class ApexOptions(Settings):
    """How actors explore and the learner learns (Horgan et al. 2018); the defaults suit a league."""

    batch_size: int = Field(1024, ge=1, description="transitions per gradient step")
    updates_per_iteration: int = Field(
        32,
        ge=1,
        description="gradient steps per iteration; one batch, fetched ahead, serves them all, and the weights are "
        "broadcast to the actors afterward",
    )
    n_step: int = Field(1, ge=1, description="steps whose rewards are summed before bootstrapping")
    target_every: int = Field(200, ge=1, description="gradient steps between two updates of the target network")
    replay_ratio: float = Field(
        1.0, gt=0, description="how often each transition is learned from on average; whichever side is ahead waits"
    )
    epsilon: float = Field(
        0.4, ge=0, le=1, description="probability of a random action in the environment that explores most"
    )
    epsilon_alpha: float = Field(
        7.0, ge=0, description="environment i of N explores with epsilon^(1 + epsilon_alpha i / (N - 1))"
    )


class ReplayOptions(Settings):
    """Distributed prioritized replay (Schaul et al. 2016)."""

    shards: int = Field(1, ge=1, description="Ray actors that hold the replay")
    capacity: int = Field(2**20, ge=1, description="transitions that all shards hold together")
    learning_starts: int = Field(50_000, ge=1, description="transitions that must have arrived before learning begins")
    alpha: float = Field(0.6, ge=0, description="exponent of priorities; 0: uniform")
    beta: float = Field(
        0.4, ge=0, le=1, description="exponent of importance weights at the start; it grows to 1 over the run"
    )
    in_checkpoints: bool = Field(
        False, description="whether checkpoints contain the transitions; otherwise a resumed run fills the replay anew"
    )


def check_fit(options: ApexOptions, replay: ReplayOptions) -> None:
    """Check that the replay can serve the learner.

    Raises:
        ValueError: it cannot; the message says what to change.
    """
    if replay.capacity < options.batch_size:
        raise ValueError(
            f"replay.capacity = {replay.capacity} is smaller than batch_size = {options.batch_size}: raise it"
        )
    if replay.learning_starts > replay.capacity:
        raise ValueError(
            f"replay.learning_starts = {replay.learning_starts} is larger than replay.capacity = {replay.capacity}: "
            "lower it"
        )
