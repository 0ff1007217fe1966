"""The league inside RLlib's new API stack: the league that an algorithm has, and what it samples with."""
