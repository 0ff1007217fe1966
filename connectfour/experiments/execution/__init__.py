"""The steps of an experiment as data, and running them."""
