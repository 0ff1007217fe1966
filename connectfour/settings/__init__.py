"""Settings of a run: their schema, reading them from files and overrides, describing them. No Ray, no Torch."""
