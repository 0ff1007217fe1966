"""Moves graded against the solved game."""
