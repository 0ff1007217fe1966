"""Connect Four: rules on bitboards, move strings, packed observations, and PettingZoo's environment for RLlib."""
