"""What the report shows besides words and tables: plots, films, and logs of failures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from connectfour.experiments.reporting.findings import FAILED, Findings, Run
from connectfour.experiments.reporting.tables import score_of
from connectfour.experiments.reporting.wording import capital, metric_name


@dataclass(frozen=True)
class Picture:
    """A picture with its words."""

    data: str
    alt: str
    caption: str = ""


@dataclass(frozen=True)
class Exhibit:
    """Example games of a run.

    Attributes:
        title: which run.
        score: how the games ended.
        films: the games.
    """

    title: str
    score: str
    films: Sequence[Picture]


@dataclass(frozen=True)
class Failure:
    """A step that failed, with the end of its log."""

    name: str
    reason: str
    log: str
    lines: str


def picture(findings: Findings, file: Path, alt: str, caption: str = "") -> Picture | None:
    """Return a picture that is there and whole."""
    data = findings.reader.picture(file)
    return Picture(data, alt, caption) if data else None


def curves(findings: Findings) -> list[Picture]:
    """Return the plots over all runs, in the order in which the experiment names them."""
    files = {file.stem: file for file in sorted(findings.folder.plots.glob("*.png"))}
    known = [*(findings.settings.plots if findings.settings else ()), *findings.metrics]
    metrics = {metric.replace(":", "-"): metric for metric in known}  # as in the name of the file
    drawn = [
        picture(
            findings,
            files[stem],
            f"Curves of each variant: {metric_name(metrics.get(stem, stem))}",
            f"{capital(metric_name(metrics.get(stem, stem)))} ({metrics.get(stem, stem)})",
        )
        for stem in dict.fromkeys([*metrics, *files])
        if stem in files
    ]
    return [each for each in drawn if each]


def run_curves(findings: Findings) -> list[Picture]:
    """Return the plots of single runs."""
    drawn = [
        picture(
            findings,
            run.folder.eval_picture,
            f"Evaluated policies of {run.variant}, seed {run.seed}",
            f"{run.variant}, seed {run.seed}",
        )
        for run in findings.runs
    ]
    return [each for each in drawn if each]


def games(findings: Findings) -> list[tuple[str, list[Exhibit]]]:
    """Return the example games by variant."""
    found = []
    for variant in findings.variants:
        shown = [_exhibit(findings, run) for run in findings.runs if run.variant == variant]
        if exhibits := [exhibit for exhibit in shown if exhibit.films]:
            found.append((variant, exhibits))
    return found


def _exhibit(findings: Findings, run: Run) -> Exhibit:
    title = f"{run.variant}, seed {run.seed}"
    films = [
        picture(findings, file, f"Game {number} of {title}, as a film", f"Game {number}")
        for number, file in enumerate(run.games, start=1)
    ]
    return Exhibit(title, score_of(run), [film for film in films if film])


def failures(findings: Findings) -> list[Failure]:
    """Return the steps that failed."""
    return [
        Failure(step.name, step.reason, findings.reader.name(log), findings.reader.log_end(log))
        for step in findings.steps
        if step.state == FAILED
        for log in [findings.folder.log(step.name)]
    ]
