"""Ape-X in the league."""
