"""Self-play in RLlib: draws every game's match-up, counts results, and freezes main when the pool says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ray.rllib.callbacks.callbacks import RLlibCallback
from ray.rllib.utils.metrics import ENV_RUNNER_RESULTS, NUM_ENV_STEPS_SAMPLED
from typing_extensions import override

from connectfour.games.connect_four.env import AGENTS
from connectfour.league.matchmaking import Matchmaker, Result
from connectfour.league.members import MAIN
from connectfour.league.pool import OpponentPool
from connectfour.learning.sync import collect_tallies

if TYPE_CHECKING:
    from ray.rllib.env.env_runner import EnvRunner
    from ray.rllib.env.env_runner_group import EnvRunnerGroup
    from ray.rllib.env.multi_agent_episode import MultiAgentEpisode

    from connectfour.learning.ppo.algorithm import SelfPlayPPO


class SelfPlayCallback(RLlibCallback):  # type: ignore[misc]  # Ray's classes are untyped here
    """Runs the league of a ``SelfPlayPPO`` algorithm, on any env runner that holds a ``matchmaker``.

    On env runners it draws one match-up a game and counts results. On the algorithm it reads these counts after every
    iteration, lets the pool decide, and reports at the top level of the result: ``win_rate``, ``draw_rate``,
    ``league_size``, ``league_score``, ``opponent_scores``, ``env_steps``, ``env_steps_per_second``, and every
    ``grading.every`` iterations ``value_preserving``.
    """

    @override
    def on_environment_created(self, *, env_runner: EnvRunner, **kwargs: Any) -> None:
        """Give a new env runner a matchmaker; the league sends it the current roster before it samples."""
        if hasattr(env_runner, "matchmaker"):
            return  # only its environments were made anew
        settings = env_runner.config.settings
        self._rollout = settings.rollout
        roster = OpponentPool(settings.league, settings.seed).roster(settings.rollout.mirror_share, 0)
        env_runner.matchmaker = Matchmaker(roster, env_runner.worker_index or 0)

    @override
    def on_episode_created(
        self, *, episode: MultiAgentEpisode, env_runner: EnvRunner, env: Any, env_index: int, **kwargs: Any
    ) -> None:
        """Draw who plays the next game of an environment, which is about to be reset."""
        match_up = episode.custom_data["match_up"] = env_runner.matchmaker.draw()
        env.envs[env_index].unwrapped.opening_plies = self._rollout.opening_plies(mirror=match_up.is_mirror)

    @override
    def on_episode_end(self, *, episode: MultiAgentEpisode, env_runner: EnvRunner, **kwargs: Any) -> None:
        """Count how it ended."""
        match_up = episode.custom_data["match_up"]
        env_runner.matchmaker.record(match_up, _result(episode, match_up.main_seat))

    @override
    def on_sample_end(self, *, samples: list[MultiAgentEpisode], **kwargs: Any) -> None:
        """Leave out the opponents' side of the games: nothing learns from it."""
        for episode in samples:
            for agent, part in list(episode.agent_episodes.items()):
                if part.module_id != MAIN:
                    del episode.agent_episodes[agent]

    @override
    def on_env_runners_recreated(
        self,
        *,
        algorithm: SelfPlayPPO,
        env_runner_group: EnvRunnerGroup,
        env_runner_indices: list[int],
        **kwargs: Any,
    ) -> None:
        """Bring restarted env runners up to date before they sample."""
        algorithm.sync_league(env_runner_group, env_runner_indices)

    @override
    def on_train_result(self, *, algorithm: SelfPlayPPO, result: dict[str, Any], **kwargs: Any) -> None:
        """Let the pool decide whether main is frozen, and report."""
        pool = algorithm.pool
        pool.record(collect_tallies(algorithm.env_runner_group))
        window = pool.window
        result.update(
            win_rate=window.share("win"),
            draw_rate=window.share("draw"),
            opponent_scores={name: window.score(name) for name in pool.active if window.games(name)},
            frozen=None,
            value_preserving=None,
        )
        every = algorithm.settings.grading.every
        if every and algorithm.iteration % every == 0:
            result["value_preserving"] = algorithm.grade_main()
        if pool.should_freeze():
            result["frozen"] = algorithm.freeze_main().id
        algorithm.push_roster()
        # There are none if every env runner failed.
        steps = result.get(ENV_RUNNER_RESULTS, {}).get(NUM_ENV_STEPS_SAMPLED, 0)
        result.update(
            league_size=len(pool),
            league_score=pool.league_score,
            env_steps=algorithm.env_steps,
            env_steps_per_second=steps / result["time_this_iter_s"],
        )


def _result(episode: MultiAgentEpisode, seat: int) -> Result:
    """Return how a finished game ended for ``seat``.

    A player who never moved (its opponent won from the opening, at once) has no part in the episode; the other has.
    """
    parts = episode.agent_episodes
    mine, other = parts.get(AGENTS[seat]), parts.get(AGENTS[1 - seat])
    reward = mine.get_rewards(-1) if mine is not None else -other.get_rewards(-1)
    return "win" if reward > 0 else "loss" if reward < 0 else "draw"
