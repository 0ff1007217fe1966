"""Proximal policy optimisation in a league."""
