"""The log of a ranking and its lines."""
