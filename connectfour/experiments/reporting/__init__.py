"""What the report reads from an experiment's folder, and how it is written for people."""
