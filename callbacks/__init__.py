"""RLlib and Tune callbacks: thin, the decisions are made in ``connectfour.league``."""
