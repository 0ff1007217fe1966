"""``train`` and ``resume`` as a program calls them, and what they refuse before they start."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import pytest
from ray import tune

from connectfour.errors import ClusterError, ConfigError, RunFolderError, TrainingError
from connectfour.league.snapshots import decode_snapshot, weights_sha256
from connectfour.networks.network import make_network
from connectfour.players.names import encode_player
from connectfour.settings.network import Architecture
from connectfour.settings.reading import load_settings
from connectfour.settings.schema import RunSettings
from connectfour.system.observer import Observer
from connectfour.training.loggers import known_logger, logger_callback
from connectfour.training.memory import check_memory, encoder_weights, needed_bytes
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
    checkpoint = encode_player(f"checkpoint:{trained.checkpoint.path}")
    main = encode_player(f"snapshot:{trained.run.path}/main")
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
    for override in ("rollout.envs_per_runner=99999999999", "ppo.batch_size=99999999999", "network.width=99999998"):
        with pytest.raises(ConfigError, match=r"need about [\d,]+ GiB of memory and this machine has \d+"):
            train(load_settings(overrides=[override]), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "network",
    [
        Architecture(width=512, layers=1),
        Architecture(width=256, layers=3),
        Architecture(encoder="mlp", width=300, layers=2),
        Architecture(encoder="resnet", width=32, layers=3),
    ],
)
def test_the_estimate_counts_the_weights_of_the_encoder(network: Architecture) -> None:
    """Nearly all of them, and none that are not there."""
    weights = sum(parameter.numel() for parameter in make_network(network).encoder.parameters())
    assert 0.97 * weights < encoder_weights(network) <= weights


def test_more_cores_than_ray_offers_are_refused(ray_session: None, tmp_path: Path) -> None:
    """Tune would wait for them without a word."""
    with pytest.raises(ClusterError, match=r"51 cores are needed and Ray offers \d+"):
        train(tiny_settings("rollout.env_runners=50"), tmp_path / "run", observer=Observer())
    assert not (tmp_path / "run").exists()


def test_settings_without_an_algorithm_are_refused(tmp_path: Path) -> None:
    """The base class names no learner."""
    with pytest.raises(ConfigError, match="build them with load_settings"):
        train(RunSettings(algorithm="ppo"), tmp_path / "run")


def test_a_tracker_that_cannot_start_is_a_training_error(
    ray_session: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As without an API key: one sentence, no traceback."""

    class Broken(tune.Callback):  # type: ignore[misc]  # Ray's classes are untyped here
        def setup(self, **info: object) -> None:
            raise ValueError("no API key")

    monkeypatch.setattr("connectfour.training.train.known_logger", lambda name: name)
    monkeypatch.setattr("connectfour.training.train.logger_callback", lambda name, run: Broken())
    with pytest.raises(TrainingError, match="training failed: no API key"):
        train(tiny_settings(), tmp_path / "run", logger="wandb", observer=Observer())


@pytest.mark.slow
def test_training_runs_outside_the_main_thread(ray_session: None, tmp_path: Path) -> None:
    """As in a server: signals are left alone there."""
    with ThreadPoolExecutor(1) as pool:
        settings = tiny_settings(*LOCKSTEP, "stop.minutes=null", "stop.env_steps=2048")
        result = pool.submit(train, settings, tmp_path / "run", observer=Observer()).result()
    assert result.last.iteration == 1


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
