"""PettingZoo's environments for two players as games of a league."""
