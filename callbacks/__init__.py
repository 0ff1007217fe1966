"""RLlib and Tune callbacks: thin hooks; the decisions are made in ``connectfour.league``."""
