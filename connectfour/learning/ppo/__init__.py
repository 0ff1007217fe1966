"""Proximal policy optimization in the league."""
