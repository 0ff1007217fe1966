"""The league table of an experiment: the best member of each run meets the others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from connectfour.experiments.layout import ExperimentFolder
from connectfour.tournament.plan import Limits
from connectfour.tournament.session import Ranking, rank


def rank_best(folder: ExperimentFolder, variants: Iterable[str], seeds: Sequence[int], games: int) -> Ranking:
    """Rank the best member of each run that was evaluated, into ``league/``.

    The best member of a run is the policy with the best grade on the dev half; the anchors of every ranking take part.

    Args:
        folder: the experiment.
        variants: their names.
        seeds: the seeds of each variant's runs.
        games: games per player.

    Raises:
        RankingError: nobody can be ranked, as ``rank`` says.
        SnapshotError: a run has no policy yet, or its file is damaged.
    """
    best = [
        f"snapshot:{folder.run(variant, seed).path}/best"
        for variant in variants
        for seed in seeds
        if folder.results(variant, seed).eval.is_file()
    ]
    anchors = 4
    return rank(best, folder.league.path, Limits(matches=games * (len(best) + anchors)))
