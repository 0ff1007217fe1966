"""An experiment's folder: every file name in it.

NAME/
  experiment.yaml                   the experiment as used
  variants/VARIANT.yaml             the settings of each variant's runs
  runs/VARIANT-SEED/                run folders
  results/VARIANT-SEED/             train.csv, eval.csv, evaluate.txt (yes or no), eval.png, match.csv, games/*.gif
  average.csv  probability_of_improvement.csv  plots/METRIC.png
  league/                           the best member of each run against the others: a ranking's files
  graph.svg  report.html
  steps/STEP.log, STEP.json         each step's log, and its receipt: written last, if it succeeded
  status.json  outcome.json         how far it is; how all steps ended, for the report
  replaced/                         runs whose settings have changed since they were trained
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from connectfour.runs.folder import RunFolder


def says_no(verdict: Path) -> bool:
    """Return whether a run is not to be evaluated, going by its file ``evaluate.txt``; there may be none."""
    try:
        return verdict.read_text(encoding="utf-8").strip() == "no"
    except OSError:
        return False


@dataclass(frozen=True)
class ResultFolder:
    """What is known of one run after training."""

    path: Path

    @property
    def train(self) -> Path:
        """One row per training iteration."""
        return self.path / "train.csv"

    @property
    def eval(self) -> Path:
        """The evaluated policies of main."""
        return self.path / "eval.csv"

    @property
    def verdict(self) -> Path:
        """Whether the run is evaluated: yes or no."""
        return self.path / "evaluate.txt"

    @property
    def eval_picture(self) -> Path:
        """Curves of the evaluated policies."""
        return self.path / "eval.png"

    @property
    def match(self) -> Path:
        """Score of the example games."""
        return self.path / "match.csv"

    @property
    def games(self) -> Path:
        """Folder of the example games, as GIF."""
        return self.path / "games"


@dataclass(frozen=True)
class ExperimentFolder:
    """The folder of one experiment; creating this object reads and writes nothing."""

    path: Path

    @property
    def settings(self) -> Path:
        """The experiment as used."""
        return self.path / "experiment.yaml"

    def variant(self, name: str) -> Path:
        """Return the file with the settings of a variant's runs."""
        return self.path / "variants" / f"{name}.yaml"

    def run(self, variant: str, seed: int) -> RunFolder:
        """Return a run."""
        return RunFolder(self.path / "runs" / f"{variant}-{seed}")

    def results(self, variant: str, seed: int) -> ResultFolder:
        """Return the folder with a run's results."""
        return ResultFolder(self.path / "results" / f"{variant}-{seed}")

    @property
    def average(self) -> Path:
        """Statistics over the runs, per variant and time."""
        return self.path / "average.csv"

    @property
    def improvement(self) -> Path:
        """Which variant is better, and how probably."""
        return self.path / "probability_of_improvement.csv"

    @property
    def plots(self) -> Path:
        """Folder of the plots over all runs."""
        return self.path / "plots"

    @property
    def league(self) -> RunFolder:
        """The league table: a ranking's folder."""
        return RunFolder(self.path / "league")

    @property
    def graph(self) -> Path:
        """Picture of the steps."""
        return self.path / "graph.svg"

    @property
    def report(self) -> Path:
        """The report."""
        return self.path / "report.html"

    @property
    def steps(self) -> Path:
        """Folder of logs and receipts."""
        return self.path / "steps"

    def log(self, step: str) -> Path:
        """Return the file with what a step printed."""
        return self.steps / f"{step}.log"

    def receipt(self, step: str) -> Path:
        """Return the file that says how a step succeeded."""
        return self.steps / f"{step}.json"

    def begun(self, step: str) -> Path:
        """Return the file that says which step was begun; it is removed when the step succeeds."""
        return self.steps / f"{step}.begun.json"

    @property
    def replaced(self) -> Path:
        """Folder of runs whose settings have changed since they were trained."""
        return self.path / "replaced"

    @property
    def lock(self) -> Path:
        """Held by the command that runs the experiment."""
        return self.path / ".lock"

    @property
    def status(self) -> Path:
        """How far the experiment is."""
        return self.path / "status.json"

    @property
    def outcome(self) -> Path:
        """How all steps but the report ended."""
        return self.path / "outcome.json"
