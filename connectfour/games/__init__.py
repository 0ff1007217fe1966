"""The games, and what they have in common."""
