"""Training runs: a Tune experiment in a run folder, its resumption, its curves."""
