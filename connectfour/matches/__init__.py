"""Games between players, played in batches, on one machine or many."""
