"""Tic-tac-toe, on bitboards."""
