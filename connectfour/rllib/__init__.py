"""What every learner shares of RLlib's classes."""
