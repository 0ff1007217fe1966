"""A self-play league for RLlib on Connect Four.

Importing this package costs almost nothing: Ray, Torch and PettingZoo are loaded by the rooms that need them.
"""

from connectfour.config import RunSettings
from connectfour.errors import ConnectFourError

__version__ = "0.1.0"

__all__ = ["ConnectFourError", "RunSettings", "__version__"]
