"""The report: the answer, and what it rests on, as one HTML file."""
