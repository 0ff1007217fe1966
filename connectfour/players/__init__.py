"""Whoever can choose moves for a batch of observations."""
