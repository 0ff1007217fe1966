"""Measurements of speed, each a ratio against a rival in the same run."""
