"""All errors that a user can cause, as one class hierarchy.

    ConnectFourError          1
    ├── ConfigError           2   a setting is unknown, missing or out of range
    ├── RunFolderError        3   a run folder already exists, holds no run, or cannot be resumed
    │   └── RunDoneError      3   a run has reached its limits
    ├── SnapshotError         4   a snapshot or the league's manifest is damaged, unknown or missing
    ├── PlayerError           5   a player's name cannot be resolved
    ├── NotationError         6   a move string is not a game
    ├── TrainingError         7   training itself failed
    │   └── NoProgressError   7   training has waited too long
    ├── PositionsError        8   a file of graded positions cannot be read
    ├── RankingError          9   players cannot be ranked, or a log of games is damaged
    ├── ClusterError         10   a Ray cluster does not answer, lets nobody in, or does not fit
    ├── ExportError          11   a policy cannot be exported, or the export does not match it
    ├── PictureError         12   a game cannot be drawn into a file
    ├── ServerError          13   the web app cannot be served
    ├── HiddenPackageError   14   a user's file shadows a package of this project
    ├── OutputError          15   a result cannot be written where it was asked for
    ├── ExperimentError      16   steps of an experiment failed, or its folder cannot be used
    ├── StorageError         17   where a run is kept cannot be used, or not from everywhere it is needed
    └── GameError            18   a game, or a user's own code for one, cannot be used

The number is the command line's exit code. A message is one sentence: what is wrong, with the value, and what to do.
"""

INTERRUPTED = 130
"""Exit code of a command that Ctrl-C ended before it had done what it was asked for: 128 and the signal's number."""


class ConnectFourError(Exception):
    """Base of all errors with a message for the user."""

    exit_code = 1


class ConfigError(ConnectFourError):
    """A setting is unknown, missing or out of range."""

    exit_code = 2


class RunFolderError(ConnectFourError):
    """A run folder already exists, holds no run, or cannot be resumed."""

    exit_code = 3


class RunDoneError(RunFolderError):
    """A run has reached its limits."""


class SnapshotError(ConnectFourError):
    """A snapshot or the league's manifest is damaged, unknown or missing."""

    exit_code = 4


class PlayerError(ConnectFourError):
    """A player's name cannot be resolved."""

    exit_code = 5


class NotationError(ConnectFourError):
    """A list of moves is not a game."""

    exit_code = 6


class TrainingError(ConnectFourError):
    """Training itself failed."""

    exit_code = 7


class NoProgressError(TrainingError):
    """Training has waited too long for something to come back."""


class PositionsError(ConnectFourError):
    """A file of graded positions cannot be read."""

    exit_code = 8


class RankingError(ConnectFourError):
    """Players cannot be ranked, or a log of games is damaged."""

    exit_code = 9


class ClusterError(ConnectFourError):
    """A Ray cluster does not answer, does not let this process in, or its nodes do not fit."""

    exit_code = 10


class ExportError(ConnectFourError):
    """A policy cannot be exported, or the export does not match it."""

    exit_code = 11


class PictureError(ConnectFourError):
    """A game cannot be drawn into a file."""

    exit_code = 12


class ServerError(ConnectFourError):
    """The web app cannot be served."""

    exit_code = 13


class ExperimentError(ConnectFourError):
    """Steps of an experiment failed, or its folder cannot be used."""

    exit_code = 16


class HiddenPackageError(ConnectFourError, ImportError):
    """A user's file shadows a package of this project."""

    exit_code = 14


class StorageError(ConnectFourError):
    """Where a run is kept cannot be used, or not from everywhere it is needed."""

    exit_code = 17


class GameError(ConnectFourError):
    """A game, or a user's own code for one, cannot be used."""

    exit_code = 18


class OutputError(ConnectFourError):
    """A result cannot be written where it was asked for."""

    exit_code = 15
