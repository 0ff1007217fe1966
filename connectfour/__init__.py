"""A self-play league for RLlib, on the solved game of Connect Four.

``import connectfour as cf`` costs almost nothing: each public name is loaded when it is first used, and Ray and Torch
only with the names that need them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from connectfour.system.package_check import check_packages

if TYPE_CHECKING:
    from callbacks.self_play import SelfPlayCallback as SelfPlayCallback
    from connectfour.apex.algorithm import Apex as Apex
    from connectfour.apex.algorithm import ApexConfig as ApexConfig
    from connectfour.cluster.session import start_ray as start_ray
    from connectfour.errors import ClusterError as ClusterError
    from connectfour.errors import ConfigError as ConfigError
    from connectfour.errors import ConnectFourError as ConnectFourError
    from connectfour.errors import ExportError as ExportError
    from connectfour.errors import HiddenPackageError as HiddenPackageError
    from connectfour.errors import NotationError as NotationError
    from connectfour.errors import OutputError as OutputError
    from connectfour.errors import PictureError as PictureError
    from connectfour.errors import PlayerError as PlayerError
    from connectfour.errors import PositionsError as PositionsError
    from connectfour.errors import RankingError as RankingError
    from connectfour.errors import RunFolderError as RunFolderError
    from connectfour.errors import ServerError as ServerError
    from connectfour.errors import SnapshotError as SnapshotError
    from connectfour.errors import TrainingError as TrainingError
    from connectfour.export.onnx_file import export_onnx as export_onnx
    from connectfour.games.result import Result as Result
    from connectfour.games.result import Score as Score
    from connectfour.games.result import SeatScores as SeatScores
    from connectfour.grading.grade import grade as grade
    from connectfour.learning.apex.algorithm import SelfPlayApex as SelfPlayApex
    from connectfour.learning.apex.algorithm import SelfPlayApexConfig as SelfPlayApexConfig
    from connectfour.learning.apex.settings import ApexRunSettings as ApexRunSettings
    from connectfour.learning.ppo.algorithm import SelfPlayPPO as SelfPlayPPO
    from connectfour.learning.ppo.algorithm import SelfPlayPPOConfig as SelfPlayPPOConfig
    from connectfour.learning.ppo.settings import PPORunSettings as PPORunSettings
    from connectfour.matches.arena import play_match as play_match
    from connectfour.players.names import parse_player as parse_player
    from connectfour.settings.reading import load_settings as load_settings
    from connectfour.tournament.session import rank as rank
    from connectfour.training.train import TrainingResult as TrainingResult
    from connectfour.training.train import resume as resume
    from connectfour.training.train import train as train
    from connectfour.version import __version__ as __version__

_ERRORS = (
    "ClusterError",
    "ConfigError",
    "ConnectFourError",
    "ExportError",
    "HiddenPackageError",
    "NotationError",
    "OutputError",
    "PictureError",
    "PlayerError",
    "PositionsError",
    "RankingError",
    "RunFolderError",
    "ServerError",
    "SnapshotError",
    "TrainingError",
)
_HOME = {
    **dict.fromkeys(_ERRORS, "connectfour.errors"),
    "Apex": "connectfour.apex.algorithm",
    "ApexConfig": "connectfour.apex.algorithm",
    "ApexRunSettings": "connectfour.learning.apex.settings",
    "PPORunSettings": "connectfour.learning.ppo.settings",
    "Result": "connectfour.games.result",
    "Score": "connectfour.games.result",
    "SeatScores": "connectfour.games.result",
    "SelfPlayApex": "connectfour.learning.apex.algorithm",
    "SelfPlayApexConfig": "connectfour.learning.apex.algorithm",
    "SelfPlayCallback": "callbacks.self_play",
    "SelfPlayPPO": "connectfour.learning.ppo.algorithm",
    "SelfPlayPPOConfig": "connectfour.learning.ppo.algorithm",
    "TrainingResult": "connectfour.training.train",
    "__version__": "connectfour.version",
    "export_onnx": "connectfour.export.onnx_file",
    "grade": "connectfour.grading.grade",
    "load_settings": "connectfour.settings.reading",
    "parse_player": "connectfour.players.names",
    "play_match": "connectfour.matches.arena",
    "rank": "connectfour.tournament.session",
    "resume": "connectfour.training.train",
    "start_ray": "connectfour.cluster.session",
    "train": "connectfour.training.train",
}
"""The module of each public name."""

__all__ = sorted(_HOME)  # noqa: PLE0605  # the names are those of the table above


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    check_packages()
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted(_HOME)
