"""Plays games between players, in batches, on one machine or many."""
