"""How much memory a run needs, estimated before it starts."""

from __future__ import annotations

import math

from connectfour.errors import ConfigError
from connectfour.settings.network import Architecture
from connectfour.settings.schema import RunSettings
from connectfour.system.machine import memory_bytes

# Per board at once, besides its observation.
_OTHER_BYTES_PER_BOARD = 34


def needed_bytes(settings: RunSettings) -> int:
    """Return a rough lower bound on the memory that a run needs, in bytes.

    It counts what grows with the settings: games at once, batches, and the weights of all networks.
    """
    rollout, network = settings.rollout, settings.architecture
    runners = max(1, rollout.env_runners)
    weights = 4 * encoder_weights(network)
    processes = runners + 1 + settings.learners
    bytes_per_board = settings.game.rules.observation_bytes + _OTHER_BYTES_PER_BOARD
    boards = runners * rollout.envs_per_runner * (bytes_per_board + 4 * network.width)
    return boards + settings.learning_bytes + weights * (settings.league.opponent_count + 1) * processes


def encoder_weights(network: Architecture) -> int:
    """Return the approximate number of weights in an encoder; the heads are small and left out.

    What an encoder of the user's own has is not known: 0.
    """
    width, layers, shape = network.width, network.layers, network.game.rules.observation_shape
    if network.encoder == "resnet":
        return 9 * width * (shape[-1] + 2 * layers * width)
    if network.encoder == "mlp":
        return math.prod(shape) * width + (layers - 1) * width * width
    if network.encoder != "lines":
        return 0
    # Symmetric layers have half the weights of dense ones.
    return 249 * width + (layers - 1) * width * width // 2


def check_memory(settings: RunSettings) -> None:
    """Refuse settings that cannot fit into this machine's memory.

    Raises:
        ConfigError: they need more memory than there is; the message gives the estimate.
    """
    available = memory_bytes()
    needed = needed_bytes(settings)
    if needed > available:
        raise ConfigError(
            f"these settings need about {needed / 2**30:,.0f} GiB of memory and this machine has "
            f"{available / 2**30:,.0f}: lower rollout.envs_per_runner, rollout.env_runners, network.width, "
            "league.opponent_count, the batch size or replay.capacity"
        )
