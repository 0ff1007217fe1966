"""Grades moves against the solved game."""
