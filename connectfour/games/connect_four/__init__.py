"""Connect Four: rules on bitboards, move strings, packed observations, and PettingZoo's environment for RLlib."""

GAME = "connect_four"
"""The game's name in files: whoever reads results of several games can tell them apart."""
