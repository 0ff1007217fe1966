"""Distributed prioritized replay. It stores columns of arrays and knows nothing about what they mean."""
