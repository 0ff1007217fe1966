"""``train`` and ``resume`` as a program calls them, and what they refuse before they start."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from connectfour.errors import ConfigError, RunFolderError
from connectfour.league.snapshots import decode_snapshot, weights_sha256
from connectfour.load_config import load_settings
from connectfour.observer import Observer
from connectfour.players.names import pack_player
from connectfour.training.loggers import known_logger, logger_callback
from connectfour.training.memory import check_memory, needed_bytes
from connectfour.training.train import TrainingResult, resume, train
from tests.leagues import LOCKSTEP, tiny_settings

LIMITED = ("stop.minutes=null", "stop.env_steps=4096")


@pytest.fixture(scope="module")
def trained(ray_session: None, tmp_path_factory: pytest.TempPathFactory) -> TrainingResult:
    """A run of two iterations."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    return train(tiny_settings(*LOCKSTEP, *LIMITED), folder, observer=Observer())


def test_training_returns_what_a_program_continues_with(trained: TrainingResult) -> None:
    """The folder, the last iteration, the checkpoint, and the limit that ended it."""
    assert (trained.limit, trained.interrupted) == ("env_steps", False)
    assert trained.last.env_steps == trained.checkpoint.env_steps == 4096
    assert trained.run.learning_curves.is_file()


def test_a_checkpoint_is_the_policy_that_the_run_saved(trained: TrainingResult) -> None:
    """``checkpoint:PATH`` and ``snapshot:RUN/main`` have the same weights."""
    checkpoint = pack_player(f"checkpoint:{trained.checkpoint.path}")
    main = pack_player(f"snapshot:{trained.run.path}/main")
    hashes = {weights_sha256(decode_snapshot(player.data, player.name).weights) for player in (checkpoint, main)}
    assert len(hashes) == 1
    assert checkpoint.name == f"run/main@{trained.last.iteration}"


def test_resuming_returns_the_longer_run(trained: TrainingResult) -> None:
    """From the same folder, with a higher limit; without one it is refused."""
    with pytest.raises(RunFolderError, match=r"reached its limit of stop.env_steps = 4,096: raise it with"):
        resume(trained.run.path, observer=Observer())
    longer = resume(trained.run.path, ["stop.env_steps=6144"], observer=Observer())
    assert longer.last.iteration == trained.last.iteration + 1
    assert longer.run == trained.run


def test_settings_that_cannot_fit_into_memory_are_refused_with_the_estimate(tmp_path: Path) -> None:
    """Before a folder is created or a process started."""
    for override in ("rollout.envs_per_runner=99999999999", "ppo.batch_size=99999999999", "network.width=9999998"):
        with pytest.raises(ConfigError, match=r"need about [\d,]+ GiB of memory and this machine has \d+"):
            train(load_settings(overrides=[override]), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_shipped_settings_fit_into_little_memory() -> None:
    """The estimate is a lower bound, so it must not refuse what works."""
    for file in (Path(__file__).parent.parent / "configs").glob("*.yaml"):
        settings = load_settings(file)
        check_memory(settings)
        assert needed_bytes(settings) < 2 * 2**30


@pytest.mark.parametrize("name", ["wandb", "mlflow", "aim"])
def test_a_tracker_without_its_package_says_what_to_install(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything starts."""
    monkeypatch.setattr("connectfour.training.loggers.find_spec", lambda package: None)
    with pytest.raises(ConfigError, match=f"--logger {name} needs the package {name}: pip install {name}"):
        known_logger(name)


def test_a_tracker_is_tunes_own_callback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Built with the run's name as the experiment."""
    package = ModuleType("mlflow")
    package.__spec__ = __import__("importlib.machinery").machinery.ModuleSpec("mlflow", None)
    monkeypatch.setitem(sys.modules, "mlflow", package)
    callback = logger_callback(known_logger("mlflow"), "first")
    assert type(callback).__name__ == "MLflowLoggerCallback"
    assert callback.experiment_name == "first"
