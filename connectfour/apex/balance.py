"""``Balance``: keeps acting and learning in step."""

from __future__ import annotations

_BATCHES_AHEAD = 2


class Balance:
    """Counts transitions that arrive and are used; whichever side is ahead waits.

    Attributes:
        batch: transitions that the learner takes at once.
        arrived: transitions that the actors have sent.
        used: transitions that the learner has learned from; one that is drawn twice counts twice.
    """

    def __init__(self, ratio: float, learning_starts: int, batch: int) -> None:
        """Use each transition ``ratio`` times on average, once ``learning_starts`` have arrived."""
        self.batch = batch
        self._ratio = ratio
        self._learning_starts = learning_starts
        self.arrived = self.used = self._most = 0

    def add(self, transitions: int) -> bool:
        """Count transitions that have arrived, and return whether there are now more than ever before.

        What a shard refused is reported later, as a negative number.
        """
        self.arrived += transitions
        more = self.arrived > self._most
        self._most = max(self._most, self.arrived)
        return more

    def may_learn(self) -> bool:
        """Return whether enough has arrived for another batch."""
        return self.arrived >= self._learning_starts and self.used + self.batch <= self.arrived * self._ratio

    def may_act(self, under_way: int) -> bool:
        """Return whether the actors are less than two batches ahead of the learner.

        ``under_way`` counts the transitions that were ordered but not yet reported.
        """
        wanted = max(self._learning_starts, (self.used + _BATCHES_AHEAD * self.batch) / self._ratio)
        return self.arrived + under_way < wanted

    def restart(self, held: int = 0) -> None:
        """Begin anew with a replay that holds ``held`` transitions, all of them used."""
        self.arrived = self._most = held
        self.used = int(held * self._ratio)
