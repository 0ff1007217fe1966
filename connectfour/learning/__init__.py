"""The league inside RLlib's new API stack."""
