"""The chess clock of a batch of games."""

from __future__ import annotations

from connectfour.matches.clock import CLOCK_BYTES, RULES, Clock


def test_each_account_counts_only_its_own_time() -> None:
    """The one that is running is charged up to now, and the others keep what they have used."""
    seconds = 100.0
    memory = bytearray(CLOCK_BYTES)
    ours, theirs = Clock(memory, lambda: seconds), Clock(memory, lambda: seconds)
    theirs.restart()
    for account, pause in ((0, 1.0), (1, 2.0), (RULES, 0.5), (0, 4.0), (1, 0.0)):
        seconds += pause
        theirs.switch(account)
    assert ours.read() == (1, (2.0, 0.5, 5.0))
    seconds += 8
    assert ours.read() == (1, (2.0, 8.5, 5.0))
    ours.restart()
    seconds += 16
    assert theirs.read() == (RULES, (0.0, 0.0, 16.0))


def test_half_of_a_write_changes_nothing() -> None:
    """A writer that died before it raised the counter leaves the last state as it was."""
    seconds = 0.0
    memory = bytearray(CLOCK_BYTES)
    clock = Clock(memory, lambda: seconds)
    for account in (0, 1):
        clock.restart()
        clock.switch(account)
        before, counter = clock.read(), bytes(memory[:8])
        clock.switch(RULES)
        memory[:8] = counter
        assert clock.read() == before
