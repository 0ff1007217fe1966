"""Training runs: a Tune experiment in a run folder, and resuming it."""
