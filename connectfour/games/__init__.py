"""The games that a league plays, and what they have in common: observations and results."""
