"""How much memory a run needs, estimated before it starts."""

from __future__ import annotations

import os

from connectfour.config import PPORunSettings, RunSettings
from connectfour.errors import ConfigError
from connectfour.games.connect_four.packing import ACTIONS

# Per position: packed, logits, and some twenty smaller numbers; once recorded, once as samples.
_BYTES_PER_POSITION = 2 * (16 + 4 * ACTIONS + 20)
# Per position that is learned from: planes, mask and columns on the learner.
_BYTES_PER_SAMPLE = 2 * 6 * 7 + ACTIONS + 4 * ACTIONS + 32
# Per board at once: planes, features (float32) and a layer's output.
_BYTES_PER_BOARD = 84 + 4 * 500


def needed_bytes(settings: RunSettings) -> int:
    """Return a rough lower bound of the memory that a run needs, in bytes.

    It counts what grows with the settings: games at once, batches, and the weights of all networks.
    """
    rollout, network = settings.rollout, settings.network
    runners = max(1, rollout.env_runners)
    width, layers = network.width, network.layers
    per_layer = 9 * width * width * 2 if network.encoder == "resnet" else width * width
    weights = 4 * (500 * width + layers * per_layer)
    processes = runners + 1 + settings.learners
    boards = runners * rollout.envs_per_runner * (_BYTES_PER_BOARD + 4 * width)
    batch = 0
    if isinstance(settings, PPORunSettings):
        positions = max(settings.ppo.batch_size, runners * rollout.envs_per_runner)
        minibatch = min(settings.ppo.minibatch_size, positions)
        batch = positions * (_BYTES_PER_POSITION + _BYTES_PER_SAMPLE) + 3 * 4 * minibatch * (500 + layers * width)
    return boards + batch + weights * (settings.league.opponent_count + 1) * processes


def check_memory(settings: RunSettings) -> None:
    """Refuse settings that cannot fit into this machine's memory.

    Raises:
        ConfigError: they need more than there is; the message has the estimate.
    """
    available = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    needed = needed_bytes(settings)
    if needed > available:
        raise ConfigError(
            f"these settings need about {needed / 2**30:,.0f} GiB of memory and this machine has "
            f"{available / 2**30:,.0f}: lower rollout.envs_per_runner, rollout.env_runners, network.width, "
            "league.opponent_count or the batch size"
        )
