"""A game between agents with known levels, and its faults: how reliable is a ranking?"""
