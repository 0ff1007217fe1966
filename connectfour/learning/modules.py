"""The fixed set of RLlib modules that a league plays with, and the mapping from agents to modules."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from ray.rllib.core.rl_module.rl_module import RLModuleSpec

from connectfour.errors import ConfigError, PlayerError
from connectfour.games.contract import Game
from connectfour.games.env import AGENTS
from connectfour.games.observation import Observation
from connectfour.games.spaces import spaces_of
from connectfour.league.matchmaking import MatchUp
from connectfour.league.members import MAIN, guest_module, heuristic_module, slot_module
from connectfour.league.snapshots import decode_snapshot
from connectfour.learning.player_module import PlayerRLModule
from connectfour.learning.rl_module import module_class
from connectfour.players.encoded import EncodedPlayer
from connectfour.players.names import build_player, encode_heuristic, encode_player
from connectfour.settings.schema import RunSettings


def module_specs(settings: RunSettings) -> dict[str, RLModuleSpec]:
    """Return ``main``, the opponent slots, and one module per guest and heuristic, by module id.

    Raises:
        ConfigError: a heuristic is unknown.
        PlayerError, RunFolderError, SnapshotError: a guest cannot be read.
    """
    game = settings.game.rules
    observation_space, action_space = spaces_of(game)
    spaces: dict[str, gym.Space[Any]] = {"observation_space": observation_space, "action_space": action_space}
    network = {"network": settings.architecture.model_dump()}
    # An opponent plays few boards at a time: converting its weights would cost more time than it saves.
    of_main = {**network, "precision": settings.precision}
    specs = {MAIN: RLModuleSpec(module_class=module_class(settings.architecture), model_config=of_main, **spaces)}
    for slot in range(settings.league.opponent_count):
        specs[slot_module(slot)] = RLModuleSpec(
            module_class=module_class(settings.architecture), model_config=network, **spaces
        )
    for number, spec in enumerate(settings.league.guests):
        specs[guest_module(number)] = _guest(encode_player(spec, settings.game), game, spaces)
    for name in settings.league.heuristics:
        try:
            player = encode_heuristic(name, settings.game)
        except PlayerError as error:
            raise ConfigError(f"league.opponents: {error}") from None
        specs[heuristic_module(name)] = _player(player, game, spaces)
    return specs


def _guest(guest: EncodedPlayer, game: Game, spaces: dict[str, gym.Space[Any]]) -> RLModuleSpec:
    if guest.kind == "onnx":
        return _player(guest, game, spaces)
    network = decode_snapshot(guest.data, guest.name).network
    config = {"network": network.model_dump()}
    return RLModuleSpec(module_class=module_class(network), model_config=config, **spaces)


def _player(player: EncodedPlayer, game: Game, spaces: dict[str, gym.Space[Any]]) -> RLModuleSpec:
    config = {"player": player, "max_seq_len": game.max_plies}
    return RLModuleSpec(module_class=PlayerRLModule, model_config=config, **spaces)


def module_of_agent(agent_id: str, episode: Any, **kwargs: Any) -> str:
    """Map ``player_0`` and ``player_1`` to modules, following the match-up that was drawn for the episode."""
    try:
        match_up: MatchUp = episode.custom_data["match_up"]
    except AttributeError:
        # While RLlib builds the continuation of a cut episode, it calls this before the custom data is set. It knows
        # the modules from the first part and ignores the result.
        return MAIN
    return match_up.module_in(AGENTS.index(agent_id))


def check_players_see_enough(settings: RunSettings) -> None:
    """Let heuristics choose by observations alone, as RLlib's own env runner shows them.

    Raises:
        ConfigError: one of them needs the position.
    """
    seen = settings.game.rules.boards(1).observe()
    for name in settings.league.heuristics:
        player = build_player(encode_heuristic(name, settings.game))
        try:
            player.act(Observation(seen.planes, seen.action_mask), player.initial_state(1), np.random.default_rng(0))
        except Exception as error:  # noqa: BLE001  # whatever a user's player raises
            raise ConfigError(
                f"heuristic:{name} fails on observations alone ({type(error).__name__}: {error}), which are all that "
                "rollout.env_runner = stock shows: set it to lockstep, or choose other opponents"
            ) from None
