"""Games that a league can play, and what all games share: observations and results."""
