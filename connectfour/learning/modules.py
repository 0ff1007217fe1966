"""The fixed set of RLlib modules that a league plays with, and the mapping from agents to modules."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
from ray.rllib.core.rl_module.rl_module import RLModuleSpec

from connectfour.errors import ConfigError
from connectfour.games.connect_four.env import AGENTS, ConnectFourEnv
from connectfour.games.connect_four.packing import MAX_PLIES
from connectfour.league.matchmaking import MatchUp
from connectfour.league.members import MAIN, guest_module, heuristic_module, slot_module
from connectfour.learning.guests import guest_networks
from connectfour.learning.heuristic_module import HeuristicRLModule
from connectfour.learning.rl_module import module_class
from connectfour.settings.schema import RunSettings
from heuristics import make_heuristic


def module_specs(settings: RunSettings) -> dict[str, RLModuleSpec]:
    """Return ``main``, the opponent slots, and one module per guest and heuristic, by module id.

    Raises:
        ConfigError: a heuristic is unknown.
        PlayerError, RunFolderError, SnapshotError: a guest cannot be read.
    """
    env = ConnectFourEnv()
    spaces: dict[str, gym.Space[Any]] = {
        "observation_space": env.observation_spaces["player_0"],
        "action_space": env.action_spaces["player_0"],
    }
    network = {"network": settings.architecture.model_dump()}
    # An opponent plays few boards at a time: converting its weights would cost more time than it saves.
    of_main = {**network, "precision": settings.precision}
    specs = {MAIN: RLModuleSpec(module_class=module_class(settings.architecture), model_config=of_main, **spaces)}
    for slot in range(settings.league.opponent_count):
        specs[slot_module(slot)] = RLModuleSpec(
            module_class=module_class(settings.architecture), model_config=network, **spaces
        )
    for number, guest in enumerate(guest_networks(settings.league.guests)):
        specs[guest_module(number)] = RLModuleSpec(
            module_class=module_class(guest), model_config={"network": guest.model_dump()}, **spaces
        )
    for name in settings.league.heuristics:
        try:
            make_heuristic(name)
        except ValueError as error:
            raise ConfigError(f"league.heuristics: {error}") from None
        specs[heuristic_module(name)] = RLModuleSpec(
            module_class=HeuristicRLModule, model_config={"heuristic": name, "max_seq_len": MAX_PLIES}, **spaces
        )
    return specs


def module_of_agent(agent_id: str, episode: Any, **kwargs: Any) -> str:
    """Map ``player_0`` and ``player_1`` to modules, following the match-up that was drawn for the episode."""
    try:
        match_up: MatchUp = episode.custom_data["match_up"]
    except AttributeError:
        # While RLlib builds the continuation of a cut episode, it calls this before the custom data is set. It knows
        # the modules from the first part and ignores the result.
        return MAIN
    return match_up.module_in(AGENTS.index(agent_id))
