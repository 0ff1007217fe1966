"""Measurements of speed, each a ratio to a baseline in the same run."""
