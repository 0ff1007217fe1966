"""A Tune run in a run folder."""
