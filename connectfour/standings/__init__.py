"""Tables, pictures and the best of a run, computed from a log."""
