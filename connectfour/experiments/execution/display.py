"""What a running experiment shows: a line for a log, or a table for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.box import SIMPLE
from rich.console import Group, RenderableType
from rich.table import Table

from connectfour.experiments.execution.endings import Ending, State
from connectfour.experiments.execution.estimate import describe_minutes, seconds_needed
from connectfour.experiments.execution.graph import Step
from connectfour.experiments.execution.performing import last_line
from connectfour.experiments.execution.scheduler import Scheduler

_STATES: tuple[State, ...] = ("done", "running", "waiting", "failed", "skipped", "not evaluated")
_MOST_LINES = 12


def status_line(scheduler: Scheduler) -> str:
    """Return the state as one log line: counts, what runs, time left."""
    running = ", ".join(f"{step.name}: {line}" if line else step.name for step, _, line in _running(scheduler))
    return ". ".join(filter(None, (f"{_counts(scheduler)}; {time_left(scheduler)}", running)))


def live_table(scheduler: Scheduler) -> RenderableType:
    """Return the state for a terminal: each step that runs with its own progress."""
    title = f"{scheduler.folder.path.name}: {_counts(scheduler)}; {time_left(scheduler)}"
    table = Table(title=title, title_justify="left", box=SIMPLE, expand=True)
    for column in ("step", "time"):
        table.add_column(column, no_wrap=True)
    table.add_column("progress", no_wrap=True, overflow="ellipsis", ratio=1)
    rows = list(_running(scheduler))
    for step, seconds, line in rows[:_MOST_LINES]:
        table.add_row(step.name, _clock(seconds), line)
    more = len(rows) - _MOST_LINES
    failed = [f"{name} failed: {reason}" for name, reason in scheduler.failed.items()]
    return Group(table, *([f"and {more} more"] if more > 0 else []), *failed[:_MOST_LINES])


def describe_ending(scheduler: Scheduler, step: Step, ending: Ending) -> str:
    """Return how a step ended, as a line."""
    took = f" after {_clock(ending.seconds)}" if ending.seconds is not None else ""
    if ending.state == "failed":
        return f"{step.name}: failed{took}: {ending.reason}; see {scheduler.folder.log(step.name)}"
    if ending.state == "waiting":
        return f"{step.name}: interrupted{took}"
    return f"{step.name}: {ending.state}{took}{f': {ending.reason}' if ending.reason else ''}"


def _counts(scheduler: Scheduler) -> str:
    counts = scheduler.counts
    # Ray holds steps back until their cores are free.
    running = sum(1 for _ in _running(scheduler))
    counts["waiting"] += counts["running"] - running
    counts["running"] = running
    shown = (f"{counts[state]} {state}" for state in _STATES if counts[state] or state == "done")
    return f"{len(scheduler.endings)} steps: {', '.join(shown)}"


def _running(scheduler: Scheduler) -> Iterator[tuple[Step, float, str]]:
    """Yield the steps whose commands run, for how many seconds, and what each printed last."""
    for name, ending in scheduler.endings.items():
        step = scheduler.graph.steps[name]
        seconds = scheduler.seconds_of(step) if ending.state == "running" else None
        if seconds is not None:
            yield step, seconds, last_line(scheduler.folder.log(name))


def time_left(scheduler: Scheduler) -> str:
    """Return in words how long the rest will take, going by the steps of the same kind that have ended."""
    took: dict[str, list[float]] = {}
    for name, ending in scheduler.endings.items():
        if ending.state == "done" and ending.seconds is not None:
            took.setdefault(scheduler.graph.steps[name].kind, []).append(ending.seconds)
    running = {step.name: seconds for step, seconds, _ in _running(scheduler)}
    left = []
    for name, ending in scheduler.endings.items():
        if ending.state not in {"waiting", "running"}:
            continue
        step = scheduler.graph.steps[name]
        seconds = step.seconds
        if took.get(step.kind):
            seconds = sum(took[step.kind]) / len(took[step.kind])
        if seconds is not None:
            seconds = max(1.0, seconds - running.get(name, 0.0))
        left.append((step, seconds))
    needed = seconds_needed(left, scheduler.cores or 1.0)
    return "time left unknown" if needed is None else f"about {describe_minutes(needed)} left"


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
