"""Whether an environment fits a league: found out by making it and playing a few random games."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.error import DependencyNotInstalled
from numpy.typing import NDArray
from pettingzoo import AECEnv

from connectfour.errors import GameError
from connectfour.games.moves import pick_legal
from connectfour.games.pettingzoo.environments import Environments, Episode
from connectfour.games.registry import look_here

_GAMES = 4
_SEEDS_TO_COMPARE = 6
_KEPT = (np.bool_, np.int8, np.uint8)


def examine(
    name: str,
    module: str,
    options: Mapping[str, Any],
    *,
    max_plies: Any,
    largest_return: Any = 1.0,
    always_legal: Any = False,
) -> Environments:
    """Return the environments of ``module``; see ``PettingZooGame`` for the options.

    Raises:
        GameError: they do not fit a league; the message says why.
    """
    if not isinstance(max_plies, int) or isinstance(max_plies, bool) or max_plies < 1:
        raise GameError(f"option max_plies of {name} is {max_plies!r}: give a whole number from 1")
    if not isinstance(largest_return, int | float) or isinstance(largest_return, bool) or not largest_return > 0:
        raise GameError(f"option largest_return of {name} is {largest_return!r}: give a number above 0")
    if not isinstance(always_legal, bool):
        raise GameError(f"option always_legal of {name} is {always_legal!r}: give true or false")
    make = partial(_make, name, _find(name, module), options)
    env = make()
    try:
        env.reset(seed=0)
    except Exception as error:  # noqa: BLE001  # whatever the user's environment raises
        raise GameError(f"{name} cannot be reset with a seed: {type(error).__name__}: {error}") from None
    try:
        _check_agents(name, env)
        trial = Environments(
            name,
            make,
            _actions(name, env),
            *_observation(name, env),
            max_plies,
            largest_return,
            always_legal=always_legal,
        )
        _check_first_sight(trial)
        _check_ends(trial)
        _check_copies(trial)
    except GameError:
        raise
    except Exception as error:  # the same
        raise GameError(f"{name} fails in a random game: {type(error).__name__}: {error}") from error
    # Without the environments of the trial, which copies may have damaged.
    return Environments(
        name,
        make,
        trial.actions,
        trial.shape,
        trial.dtype,
        max_plies,
        largest_return,
        always_legal=always_legal,
        replays=trial.replays,
        bounds=_bounds(env),
        has_chance=_has_chance(trial),
        shortest=trial.shortest,
    )


def _find(name: str, module: str) -> Callable[..., Any]:
    """Return the function ``env`` of a module."""
    look_here()
    try:
        found = import_module(module)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if f"{module}.".startswith(f"{missing}."):
            raise GameError(
                f"{name} cannot be imported, because there is no module {module}: check its name, and start where "
                "Python finds it"
            ) from None
        raise _missing(name, error) from None
    except (ImportError, DependencyNotInstalled) as error:
        raise _missing(name, error) from None
    except Exception as error:  # noqa: BLE001  # whatever the user's module raises
        raise GameError(f"{name} cannot be imported: {type(error).__name__}: {error}") from None
    env = getattr(found, "env", None)
    if not callable(env):
        raise GameError(f"{name} has no function env: define env(**options), which returns an AECEnv")
    function: Callable[..., Any] = env
    return function


def _make(name: str, function: Callable[..., Any], options: Mapping[str, Any]) -> Any:
    """Return a new environment."""
    try:
        env = function(**options)
    except TypeError as error:
        raise GameError(f"{name} cannot be made with options {dict(options)}: {error}") from None
    except (ImportError, DependencyNotInstalled) as error:
        raise _missing(name, error) from None
    except Exception as error:  # noqa: BLE001  # whatever the user's environment raises
        raise GameError(
            f"{name} cannot be made with options {dict(options)}: {type(error).__name__}: {error}"
        ) from None
    if not isinstance(env, AECEnv):
        raise GameError(
            f"{name} makes an object of type {type(env).__name__} instead of an AECEnv: return one from "
            "env(), for a ParallelEnv with pettingzoo.utils.parallel_to_aec"
        )
    return env


def _missing(name: str, error: Exception) -> GameError:
    package = (getattr(error, "name", None) or "").partition(".")[0]
    if isinstance(error, ModuleNotFoundError) and package:
        return GameError(f"{name} needs the package {package}, which is not installed: run pip install {package}")
    return GameError(f"{name} needs a package that is not installed: {error}")


def _check_agents(name: str, env: Any) -> None:
    agents = list(env.possible_agents)
    if len(agents) != 2:
        raise GameError(
            f"{name} has {len(agents)} agents ({', '.join(map(str, agents))}): choose an environment or options with 2"
        )


def _actions(name: str, env: Any) -> int:
    """Return the number of actions."""
    found = [env.action_space(agent) for agent in env.possible_agents]
    for space in found:
        if not isinstance(space, spaces.Discrete) or space.start != 0:
            raise GameError(f"{name} has the action space {space}: number its actions with Discrete(n), from 0")
    if found[0] != found[1]:
        raise GameError(f"the agents of {name} have the action spaces {found[0]} and {found[1]}: give both the same")
    return int(found[0].n)


def _observation(name: str, env: Any) -> tuple[tuple[int, ...], Any]:
    """Return shape and dtype of observations."""
    found = _observation_spaces(env)
    for space in found:
        if not isinstance(space, spaces.Box | spaces.MultiBinary) or not space.shape:
            raise GameError(
                f"{name} has observations from {space}: let agents see an array, as a Box, or as a Dict with the key "
                "observation"
            )
    if found[0].shape != found[1].shape or found[0].dtype != found[1].dtype:
        raise GameError(f"the agents of {name} have observations from {found[0]} and {found[1]}: give both the same")
    dtype = found[0].dtype.type
    return tuple(map(int, found[0].shape)), dtype if dtype in _KEPT else np.float32


def _bounds(env: Any) -> tuple[float, float]:
    """Return the smallest and the largest number in observations."""
    boxes = [space for space in _observation_spaces(env) if isinstance(space, spaces.Box)]
    if not boxes:
        return 0.0, 1.0
    most = float(np.finfo(np.float32).max)  # other floats become float32
    lowest, highest = min(float(box.low.min()) for box in boxes), max(float(box.high.max()) for box in boxes)
    return max(-most, lowest), min(most, highest)


def _observation_spaces(env: Any) -> list[Any]:
    """Return the space of what each agent sees, without action mask."""
    found = [env.observation_space(agent) for agent in env.possible_agents]
    return [space["observation"] if _is_dict(space) else space for space in found]


def _is_dict(space: Any) -> bool:
    return isinstance(space, spaces.Dict) and "observation" in space.spaces


def _check_first_sight(environments: Environments) -> None:
    """Look at one observation and its action mask."""
    planes, mask = environments.start(0).observe()
    if mask is None and not environments.always_legal:
        raise GameError(
            f"{environments.name} does not tell which actions are legal: add action_mask to the observations, as a "
            "Dict of observation and action_mask, or to the infos; if all actions always are, set the option "
            "always_legal"
        )
    seen = (environments.actions,) if mask is None else np.shape(mask)
    found, wanted = (np.shape(planes), seen), (environments.shape, (environments.actions,))
    if found != wanted:
        raise GameError(
            f"an observation and action mask of {environments.name} have the shapes {found[0]} and {found[1]}: make "
            f"them {wanted[0]} and {wanted[1]}, as its spaces say"
        )


def _check_ends(environments: Environments) -> None:
    """Play random games to the end, and note the length of the shortest."""
    lengths = []
    for seed in range(_GAMES):
        episode = environments.start(seed)
        _play_on(environments, episode, np.random.default_rng(seed), environments.max_plies)
        if episode.over:
            environments.returns(episode)
            lengths.append(len(episode.actions))
    if not lengths:
        raise GameError(
            f"no random game of {environments.name} ended within {environments.max_plies} plies: end games earlier, or "
            "raise the option max_plies"
        )
    environments.shortest = min(lengths)


def _check_copies(environments: Environments) -> None:
    """Find the way in which environments can be copied."""
    environments.replays = not _continues(environments, environments.copy_state)
    if environments.replays and not _continues(environments, environments.replay):
        raise GameError(
            f"{environments.name} plays another game after a reset with the same seed and the same actions: draw all "
            "chance from the seed of reset"
        )


def _has_chance(environments: Environments) -> bool:
    """Tell whether the same choices lead to another game under another seed."""

    def played(seed: int) -> NDArray[Any]:
        rng = np.random.default_rng(0)
        return _play_on(environments, environments.start(seed), rng, environments.max_plies)

    first = played(0)
    return not all(np.array_equal(first, played(seed)) for seed in range(1, _SEEDS_TO_COMPARE))


def _continues(environments: Environments, copy: Callable[[Episode], Episode]) -> bool:
    """Tell whether a copy from the middle of a random game goes on like the original, which is played on before it."""
    whole = environments.start(_GAMES)
    _play_on(environments, whole, np.random.default_rng(_GAMES), environments.max_plies)
    episode, rng = environments.start(_GAMES), np.random.default_rng(_GAMES)
    _play_on(environments, episode, rng, len(whole.actions) // 2)
    try:
        twin = copy(episode)
        seen, seen_by_twin = (
            _play_on(environments, each, np.random.default_rng(_GAMES), environments.max_plies)
            for each in (episode, twin)
        )
    except Exception:  # noqa: BLE001  # whatever the user's environment raises when it is copied
        return False
    return (episode.won, episode.over) == (twin.won, twin.over) and np.array_equal(seen, seen_by_twin)


def _play_on(environments: Environments, episode: Episode, rng: np.random.Generator, plies: int) -> NDArray[Any]:
    """Play until ``plies`` actions are played or the game ends; return what was seen."""
    seen = []
    while not episode.over and len(episode.actions) < plies:
        planes, legal = environments.observe([episode])
        seen.append(np.concatenate([planes.reshape(-1), legal.reshape(-1), [episode.seat]]))
        episode.step(int(pick_legal(legal, rng.random(1))[0]))
    return np.array(seen)
