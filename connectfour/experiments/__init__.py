"""Many seeded runs: their graph of steps, running it, statistics over the runs, a report."""
