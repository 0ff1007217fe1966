"""Whoever can choose columns for a batch of observations."""
