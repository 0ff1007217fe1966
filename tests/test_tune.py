"""The league under Tune: every setting can be searched, every result has its grade."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from ray import tune
from ray.rllib.callbacks.callbacks import RLlibCallback
from ray.tune.schedulers import ASHAScheduler

from connectfour.errors import ConfigError
from connectfour.league.snapshots import decode_snapshot
from connectfour.learning.apex.algorithm import SelfPlayApexConfig
from connectfour.learning.ppo.algorithm import SelfPlayPPO, SelfPlayPPOConfig
from connectfour.players.names import encode_player, parse_player
from tests.leagues import LOCKSTEP, Build, tiny_settings

pytestmark = pytest.mark.usefixtures("ray_session")

FREEZING = ("league.win_rate_threshold=0.001", "league.min_games=1", "rollout.mirror_share=0.0")


def _league(*overrides: str) -> SelfPlayPPOConfig:
    config: SelfPlayPPOConfig = SelfPlayPPOConfig.from_settings(tiny_settings(*overrides))
    return config


def _fit(config: SelfPlayPPOConfig, folder: Path, **tuning: Any) -> tune.ResultGrid:
    results = tune.Tuner(
        SelfPlayPPO,
        param_space=config,
        tune_config=tune.TuneConfig(**tuning),
        run_config=tune.RunConfig(
            storage_path=str(folder),
            name="search",
            stop={"training_iteration": 3},
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=True),
            verbose=0,
        ),
    ).fit()
    assert not results.errors
    return results


@pytest.mark.slow
def test_each_trial_keeps_its_league_where_tune_keeps_the_trial(tmp_path: Path) -> None:
    """A grid search over one of RLlib's own options, as in a notebook."""
    config = _league(*FREEZING)
    config.training(lr=tune.grid_search([1e-3, 3e-3]))
    results = _fit(config, tmp_path)
    assert len(results) == 2
    for result in results:
        assert parse_player(f"snapshot:{result.path}/v1")
        assert result.metrics is not None
        assert result.metrics["league_size"] >= 4


@pytest.mark.slow
def test_league_and_network_settings_are_searched_with_asha(tmp_path: Path) -> None:
    """Each trial gets the drawn values, in its network, its pool and its record, and RLlib's own choices stay."""
    config = _league(*LOCKSTEP, "grading.every=2")
    config.training(lr=2e-3)
    config.search({"network.width": tune.grid_search([8, 24]), "league.opponent_count": tune.choice([4])})
    scheduler = ASHAScheduler(time_attr="training_iteration", max_t=3, grace_period=1, reduction_factor=2)
    results = _fit(config, tmp_path, metric="value_preserving", mode="max", scheduler=scheduler)
    widths = []
    for result in results:
        drawn = result.config["searched"]
        player = encode_player(f"checkpoint:{result.checkpoint.path}")
        assert decode_snapshot(player.data, player.name).network.width == drawn["network.width"]
        assert "opponent_3" in result.config["policies"]
        assert "opponent_4" not in result.config["policies"]
        assert result.config["lr"] == 2e-3
        widths.append(drawn["network.width"])
    assert sorted(widths) == [8, 24]


@pytest.mark.slow
def test_each_trial_has_its_own_seed_unless_seeds_are_searched(tmp_path: Path) -> None:
    """The base seed plus its index; otherwise all trials of a search would play the same games."""
    base = _league(*LOCKSTEP, "seed=5").callbacks(NotesSeed)
    assert _seeds(_fit(base, tmp_path, num_samples=2)) == [(5, 5), (6, 6)]


@pytest.mark.slow
def test_searched_seeds_are_used_as_they_are(tmp_path: Path) -> None:
    """By the league's name or by RLlib's."""
    searched = _league(*LOCKSTEP).search({"seed": tune.grid_search([3, 8])}).callbacks(NotesSeed)
    assert _seeds(_fit(searched, tmp_path)) == [(3, 3), (8, 8)]
    searched = _league(*LOCKSTEP).debugging(seed=tune.grid_search([4, 9])).callbacks(NotesSeed)
    assert [seed for seed, _ in _seeds(_fit(searched, tmp_path / "other"))] == [4, 9]


def _seeds(results: tune.ResultGrid) -> list[tuple[int, int]]:
    """Return the seeds that each trial noted."""
    return sorted(tuple(result.metrics["seeds"]) for result in results if result.metrics)


class NotesSeed(RLlibCallback):  # type: ignore[misc]  # Ray's classes are untyped here
    """Notes the seeds that an algorithm and its league use."""

    def on_train_result(self, *, algorithm: Any, result: dict[str, Any], **kwargs: Any) -> None:
        result["seeds"] = [algorithm.config.seed, algorithm.league.settings.seed]


def test_an_unknown_setting_cannot_be_searched() -> None:
    """The nearest name is suggested, before anything runs."""
    with pytest.raises(ConfigError, match=r"unknown setting 'network.widht': did you mean 'network.width'"):
        _league().search({"network.widht": tune.choice([8])})


def test_searches_add_up_and_leave_the_algorithm_alone() -> None:
    """As RLlib's own methods do; a learner is a class, not a value."""
    config = _league().search({"network.width": 8}).search({"league.opponent_count": 4})
    assert config.searched == {"network.width": 8, "league.opponent_count": 4}
    with pytest.raises(ConfigError, match="algorithm cannot be searched"):
        config.search({"algorithm": "ppo"})


def test_a_searched_value_out_of_range_is_refused() -> None:
    """With the setting's own message."""
    config = _league().search({"network.width": 7})
    with pytest.raises(ConfigError, match="width = 7 is odd"):
        config.validate()


def test_every_result_has_the_latest_grade(build: Build, tmp_path: Path) -> None:
    """From the first iteration on, whether or not main was graded in it, and after a restore."""
    algorithm = build(*LOCKSTEP, "grading.every=2")
    grades = [algorithm.train()["value_preserving"] for _ in range(4)]
    assert all(0 < grade < 1 for grade in grades)
    assert grades[1] == grades[2]
    algorithm.save_to_path(str(tmp_path / "checkpoint"))
    other = build(*LOCKSTEP, "grading.every=100", folder=tmp_path / "other")
    other.restore_from_path(str(tmp_path / "checkpoint"))
    assert other.train()["value_preserving"] == algorithm.league.value_preserving
    never = build(*LOCKSTEP, "grading.every=0", folder=tmp_path / "never")
    assert math.isnan(never.train()["value_preserving"])


@pytest.mark.slow
def test_the_example_runs(tmp_path: Path) -> None:
    """``examples/tune_league.py`` finds a best trial and names a checkpoint that plays."""
    from examples.tune_league import search

    small = [
        *LOCKSTEP,
        "ppo.minibatch_size=512",
        "network.layers=1",
        "league.min_games=100",
        "grading.every=1",
        "league.opponent_count=6",
    ]
    results = search(2, 8192, small, str(tmp_path))
    best = results.get_best_result()
    assert parse_player(f"checkpoint:{best.checkpoint.path}")
    assert set(best.config["searched"]) == {"network.width", "league.win_rate_threshold"}
    rows = [json.loads(line) for line in (Path(best.path) / "result.json").read_text().splitlines()]
    assert all(isinstance(row["value_preserving"], float) for row in rows)


def test_settings_of_apex_are_searched() -> None:
    """By name, like those of PPO; those of PPO are refused."""
    config = SelfPlayApexConfig.from_settings()
    config.search({"apex.learning_rate": 0.005, "replay.alpha": 0.4, "network.width": 64})
    config.validate()
    assert (config.lr[0][1], config.replay_options["alpha"]) == (0.005, 0.4)
    assert config.rl_module_spec.rl_module_specs["main"].model_config["network"]["width"] == 64
    with pytest.raises(ConfigError, match=r"ppo\.clip belongs to algorithm=ppo"):
        config.search({"ppo.clip": 0.1})
