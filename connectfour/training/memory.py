"""How much memory a run needs, estimated before it starts."""

from __future__ import annotations

from connectfour.errors import ConfigError
from connectfour.games.connect_four.packing import ACTIONS
from connectfour.settings.schema import ApexRunSettings, NetworkSettings, PPORunSettings, RunSettings
from connectfour.system.machine import memory_bytes

# Per position: packed, logits, and about 20 bytes of other fields; once as recorded, once as samples.
_BYTES_PER_POSITION = 2 * (16 + 4 * ACTIONS + 20)
# Per training sample: planes, mask and columns on the learner.
_BYTES_PER_SAMPLE = 2 * 6 * 7 + ACTIONS + 4 * ACTIONS + 32
# Per transition in the replay: two packed positions, action, return, discount, number, and two nodes of the sum tree.
_BYTES_PER_TRANSITION = 2 * 16 + 1 + 4 + 4 + 8 + 2 * 8
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
    batch = 0
    if isinstance(settings, PPORunSettings):
        positions = max(settings.ppo.batch_size, runners * rollout.envs_per_runner)
        minibatch = min(settings.ppo.minibatch_size, positions)
        batch = positions * (_BYTES_PER_POSITION + _BYTES_PER_SAMPLE) + 4 * minibatch * network.layers * network.width
    if isinstance(settings, ApexRunSettings):
        batch = settings.replay.capacity * _BYTES_PER_TRANSITION
        rows = settings.apex.batch_size * settings.apex.updates_per_iteration
        batch += rows * _BYTES_PER_TRANSITION + 4 * settings.apex.batch_size * network.layers * network.width
    return boards + batch + weights * (settings.league.opponent_count + 1) * processes


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
