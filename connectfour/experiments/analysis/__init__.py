"""From runs to tables: evaluation, statistics over the runs, plots, a league table."""
