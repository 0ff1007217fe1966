"""Population-based training: two trials that take over each other's checkpoints, and the leagues in their folders."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from ray import tune
from ray.rllib.callbacks.callbacks import RLlibCallback
from ray.tune.schedulers import PopulationBasedTraining

from callbacks.self_play import SelfPlayCallback
from connectfour.apex.algorithm import Apex
from connectfour.league.manifest import members_in
from connectfour.league.snapshots import SnapshotStore
from connectfour.runs.folder import RunFolder
from connectfour.tournament.plan import Limits
from connectfour.tournament.session import rank
from tests.leagues import LOCKSTEP, apex_config, config
from tests.test_apex_gym import corridor

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("ray_session"),
    pytest.mark.filterwarnings("ignore:Consider boosting PBT performance"),
]

_ITERATIONS = 5


def _score(algorithm: Any) -> int:
    """Return a score that makes either trial the better one in turn, every two iterations."""
    trial = re.search(r"_(\d{5})", algorithm._storage.trial_dir_name)
    assert trial
    return (int(algorithm.iteration) // 2 + int(trial[1])) % 2


class InTurn(RLlibCallback):  # type: ignore[misc]  # Ray's classes are untyped here
    """Reports the score."""

    def on_train_result(self, *, algorithm: Any, result: dict[str, Any], **kwargs: Any) -> None:
        result["score"] = _score(algorithm)


class FreezesInTurn(SelfPlayCallback):
    """Freezes main after every iteration, so that the leagues have the same ids for different members."""

    def should_freeze(self, *, algorithm: Any, result: dict[str, Any]) -> bool:
        result["score"] = _score(algorithm)
        return True


def _evolve(configuration: Any, option: str, folder: Path) -> tuple[tune.ResultGrid, int]:
    """Run two trials, and return them with the number of times that one took over the other's checkpoint."""
    scheduler = PopulationBasedTraining(
        time_attr="training_iteration",
        metric="score",
        mode="max",
        perturbation_interval=2,
        quantile_fraction=0.5,
        hyperparam_mutations={option: [0.1, 0.2, 0.3]},
        synch=True,
        log_config=False,
    )
    results = tune.Tuner(
        configuration.algo_class,
        param_space=configuration,
        tune_config=tune.TuneConfig(scheduler=scheduler, num_samples=2),
        run_config=tune.RunConfig(
            storage_path=str(folder),
            name="population",
            stop={"training_iteration": _ITERATIONS},
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=True),
            verbose=0,
        ),
    ).fit()
    assert not results.errors
    return results, scheduler._num_perturbations


@pytest.mark.parametrize("algorithm", ["ppo", "apex"])
def test_leagues_that_took_over_each_other_are_whole(algorithm: str, tmp_path: Path) -> None:
    """Every member has its file, those of the league that was there before keep theirs, and both trials are ranked."""
    if algorithm == "ppo":
        configuration: Any = config(tmp_path / "unused", *LOCKSTEP, "league.opponent_count=4")
    else:
        configuration = apex_config(tmp_path / "unused", "league.opponent_count=4")
    option = "clip_param" if algorithm == "ppo" else "grad_clip"
    configuration.league(folder=None).callbacks(FreezesInTurn)
    results, exploited = _evolve(configuration, option, tmp_path)
    assert exploited >= 2
    met = 0
    for result in results:
        run = RunFolder(Path(result.path))
        store, members = SnapshotStore(run.league), members_in(run.manifest)
        frozen = [member for member in members.values() if member.kind != "heuristic"]
        for member in frozen:
            store.load(member)
        met += sum("-v" in member.id for member in frozen)
        own = [member for member in frozen if member.kind == "snapshot" and "-" not in member.id]
        assert len(own) == _ITERATIONS
        ranking = rank([run.path], limits=Limits(matches=20))
        assert {member.id for member in frozen if member.kind == "snapshot"} < {line.name for line in ranking.standings}
    assert met > 0, "two leagues have met, and ids say which one froze a member"


def test_apex_without_a_league_is_taken_over(tmp_path: Path) -> None:
    """Both trials end, and learn on after each take-over."""
    configuration = corridor().callbacks(InTurn)
    results, exploited = _evolve(configuration, "grad_clip", tmp_path)
    assert exploited >= 2
    for result in results:
        assert result.metrics is not None
        assert result.metrics["training_iteration"] == _ITERATIONS
        restored = Apex.from_checkpoint(result.checkpoint.path)
        assert restored.iteration == _ITERATIONS
        restored.stop()
