"""The league inside RLlib's new API stack: what makes an algorithm a league, and what it samples with."""
