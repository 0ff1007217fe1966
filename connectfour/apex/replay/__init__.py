"""Distributed prioritized replay. It stores columns of arrays and never interprets them."""
