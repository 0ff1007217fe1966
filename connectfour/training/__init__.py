"""Training runs: a Tune experiment in a run folder, resuming it, its learning curves."""
