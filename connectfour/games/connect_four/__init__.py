"""The rules of Connect Four: boards in lockstep, notation, and the environment around PettingZoo's."""
