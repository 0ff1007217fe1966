"""How much memory a run needs, estimated before it starts."""

from __future__ import annotations

from connectfour.errors import ConfigError
from connectfour.settings.schema import NetworkSettings, RunSettings
from connectfour.system.machine import memory_bytes

# Per board at once: planes and bitboards.
_BYTES_PER_BOARD = 2 * 6 * 7 + 34


def needed_bytes(settings: RunSettings) -> int:
    """Return a rough lower bound on the memory that a run needs, in bytes.

    It counts what grows with the settings: games at once, batches, and the weights of all networks.
    """
    rollout, network = settings.rollout, settings.network
    runners = max(1, rollout.env_runners)
    weights = 4 * encoder_weights(network)
    processes = runners + 1 + settings.learners
    boards = runners * rollout.envs_per_runner * (_BYTES_PER_BOARD + 4 * network.width)
    return boards + settings.learning_bytes + weights * (settings.league.opponent_count + 1) * processes


def encoder_weights(network: NetworkSettings) -> int:
    """Return the approximate number of weights in an encoder; the heads are small and left out."""
    width, layers = network.width, network.layers
    if network.encoder == "resnet":
        return 18 * width * (1 + layers * width)
    if network.encoder == "mlp":
        return 84 * width + (layers - 1) * width * width
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
