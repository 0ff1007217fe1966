"""Positions solved exactly: ``dev.csv.gz`` to tune on, ``test.csv.gz`` to report; ``generate`` makes both."""
