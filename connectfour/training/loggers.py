"""Experiment trackers by name: each is Tune's own callback."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any, Literal, get_args

from ray.tune.logger import JsonLoggerCallback

from connectfour.errors import ConfigError

Logger = Literal["wandb", "mlflow", "aim"]
LOGGERS: tuple[Logger, ...] = get_args(Logger)

_CALLBACKS: dict[Logger, tuple[str, str]] = {
    "wandb": ("ray.air.integrations.wandb", "WandbLoggerCallback"),
    "mlflow": ("ray.air.integrations.mlflow", "MLflowLoggerCallback"),
    "aim": ("ray.tune.logger.aim", "AimLoggerCallback"),
}


class LeanJsonLogger(JsonLoggerCallback):  # type: ignore[misc]  # Ray's classes are untyped here
    """Tune's ``result.json`` without the configuration, which is the same in every line and 32 KB long.

    ``params.json`` in the same folder holds it.
    """

    def log_trial_result(self, iteration: int, trial: Any, result: dict[str, Any]) -> None:
        """Append a result."""
        super().log_trial_result(iteration, trial, {name: each for name, each in result.items() if name != "config"})


def known_logger(name: str) -> Logger:
    """Return the tracker called ``name`` after checking that its package is installed.

    Raises:
        ConfigError: the tracker is unknown, or its package is not installed.
    """
    for logger in LOGGERS:
        if logger == name:
            if find_spec(logger) is None:
                raise ConfigError(f"--logger {logger} needs the package {logger}: pip install {logger}")
            return logger
    raise ConfigError(f"unknown logger {name!r}: choose {', '.join(LOGGERS)}")


def logger_callback(logger: Logger, run: str) -> Any:
    """Return Tune's callback for a tracker; ``run`` names the project or experiment."""
    module, name = _CALLBACKS[logger]
    build = getattr(import_module(module), name)
    return build(project=run) if logger == "wandb" else build(experiment_name=run)
