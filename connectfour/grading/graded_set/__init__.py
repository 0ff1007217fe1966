"""Exactly solved positions: ``dev.csv.gz`` to tune on, ``test.csv.gz`` to report; ``generate`` writes both."""
