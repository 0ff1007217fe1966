"""Self-play in RLlib: lets the league grow, and draws match-ups for RLlib's own env runner."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from ray.rllib.callbacks.callbacks import RLlibCallback
from typing_extensions import override

from connectfour.games.env import AGENTS
from connectfour.games.result import Result
from connectfour.league.members import MAIN
from connectfour.learning.league import HasLeague
from connectfour.learning.stock_env_runner import StockEnvRunner

if TYPE_CHECKING:
    from ray.rllib.env.env_runner_group import EnvRunnerGroup
    from ray.rllib.env.multi_agent_episode import MultiAgentEpisode


class SelfPlayCallback(RLlibCallback):  # type: ignore[misc]  # Ray's classes are untyped here
    """Lets the league of an algorithm grow; a league's configuration installs it.

    After every iteration it adds to the top level of the result: ``win_rate`` (points per game against the current
    pool, all opponents weighted equally), ``newest_score`` (the lowest against a newest snapshot), ``draw_rate``,
    ``league_size``, ``league_score``, ``opponent_scores``, ``frozen``, ``retired`` (those who left the pool for it),
    ``missing`` (members whose files are lost), ``env_steps``, ``env_steps_per_second``, and the latest
    ``value_preserving`` grade, which is updated every ``grading.every`` iterations. Override ``should_freeze`` to
    freeze main by a rule of your own.

    On the stock env runner, which has episodes, it also draws one match-up per game and counts how it ended.
    """

    def should_freeze(self, *, algorithm: HasLeague, result: dict[str, Any]) -> bool:
        """Return whether main joins the pool after this iteration; by default, the pool decides."""
        return bool(algorithm.league.pool.should_freeze(algorithm.env_steps))

    @override
    def on_train_result(self, *, algorithm: HasLeague, result: dict[str, Any], **kwargs: Any) -> None:
        """Record the iteration's games, freeze main if it is due, and report."""
        league = algorithm.league
        league.iteration_done(result)
        if self.should_freeze(algorithm=algorithm, result=result):
            result["frozen"] = league.freeze_main().id
            result["retired"] = league.pool.retired
        league.next_iteration(result)

    @override
    def on_env_runners_recreated(
        self,
        *,
        algorithm: HasLeague,
        env_runner_group: EnvRunnerGroup,
        env_runner_indices: list[int],
        **kwargs: Any,
    ) -> None:
        """Bring restarted env runners up to date before they sample."""
        algorithm.league.sync(env_runner_group, env_runner_indices)

    @override
    def on_episode_created(
        self, *, episode: MultiAgentEpisode, env_runner: StockEnvRunner, env: Any, env_index: int, **kwargs: Any
    ) -> None:
        """Draw who plays the next game of an environment, which is about to be reset."""
        match_up = episode.custom_data["match_up"] = env_runner.matchmaker.draw()
        opening_plies = env_runner.settings.rollout.opening_plies(mirror=match_up.is_mirror)
        env.envs[env_index].unwrapped.opening_plies = opening_plies

    @override
    def on_episode_end(self, *, episode: MultiAgentEpisode, env_runner: StockEnvRunner, **kwargs: Any) -> None:
        """Count how a game ended."""
        match_up = episode.custom_data["match_up"]
        # Where chance plays along, the same moves are not the same game.
        history = None if env_runner.settings.game.rules.has_chance else _history(episode)
        env_runner.matchmaker.record(match_up, _result(episode, match_up.main_seat), history)

    @override
    def on_sample_end(self, *, samples: list[MultiAgentEpisode], **kwargs: Any) -> None:
        """Drop the opponents' side of the games: nothing learns from it."""
        for episode in samples:
            for agent, part in list(episode.agent_episodes.items()):
                if part.module_id != MAIN:
                    del episode.agent_episodes[agent]


def _history(episode: MultiAgentEpisode) -> bytes:
    """Return a hash of what each player saw and did, which tells a game from others."""
    found = blake2b(digest_size=8)
    for part in episode.agent_episodes.values():
        for step in range(len(part)):
            found.update(part.get_observations(step)["observation"].tobytes())
            found.update(int(part.get_actions(step)).to_bytes(4))
    return found.digest()


def _result(episode: MultiAgentEpisode, seat: int) -> Result:
    """Return how a finished game ended for ``seat``.

    A player who never moved, because its opponent won right after the opening, has no agent episode.
    """
    parts = episode.agent_episodes
    mine, other = parts.get(AGENTS[seat]), parts.get(AGENTS[1 - seat])
    return Result.of(mine.get_rewards(-1)) if mine is not None else Result.of(other.get_rewards(-1)).reversed
