"""Generates the graded positions: ``python -m connectfour.grading.graded_set.generate``, ten minutes on two cores.

Half of the positions come from uniformly random games, half from games of optimal play with random slips. BitBully (the
optional extra ``solver``) scores every column of each. A position is kept if its columns lead to at least two different
results and if neither it nor its mirror image was kept before. The same seed gives the same files.
"""

from __future__ import annotations

import csv
import gzip
import io
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from connectfour.games.connect_four.bitboard import COLUMNS, Boards, mirror
from connectfour.games.connect_four.notation import format_moves, parse_board
from connectfour.games.registry import make_game
from connectfour.grading.positions import header_of

try:
    from bitbully import BitBully, Board
except ImportError:
    sys.exit("the solver is missing: pip install 'connectfour-league[solver]'")

PLIES = range(35)
PER_PLY_AND_SOURCE = 110
SLIP_PROBABILITY = 0.1
POSITIONS_PER_GAME = 4
SEED = 20_240
# The first plies have few distinct positions and few random games last long, so those plies get fewer positions.
GAMES = {"random": 2_200, "slips": 1_400}

FOLDER = Path(__file__).parent
Scores = dict[int, int]
Key = tuple[int, int]


@dataclass(frozen=True)
class Solved:
    """A position, as the moves that lead to it, with the exact score of each legal column for the player to move."""

    moves: tuple[int, ...]
    scores: Scores

    @property
    def is_gradable(self) -> bool:
        """Whether the legal columns lead to at least two of win, draw and loss."""
        return len({np.sign(score) for score in self.scores.values()}) > 1

    @property
    def key(self) -> Key:
        """Key shared by a position and its mirror image, regardless of the order of moves."""
        board = parse_board(format_moves(self.moves))
        own, occupied = board.own, board.occupied
        images = [(int(own[0]), int(occupied[0])), (int(mirror(own)[0]), int(mirror(occupied)[0]))]
        return min(images)

    @property
    def row(self) -> list[str]:
        """Its line in the file."""
        return [format_moves(self.moves), *(str(self.scores.get(column, "")) for column in range(COLUMNS))]


class Solver:
    """Perfect play."""

    def __init__(self) -> None:
        """Load the opening book."""
        self._solver = BitBully("12-ply-dist")

    def solve(self, moves: tuple[int, ...]) -> Solved:
        """Score every legal column after ``moves``."""
        scores = self._solver.score_all_moves(Board.from_moves(list(moves)))
        return Solved(moves, {int(column): int(score) for column, score in sorted(scores.items())})


def random_game(solver: Solver, rng: np.random.Generator) -> Iterator[Solved]:
    """Yield the positions of a random game in random order."""
    moves: list[int] = []
    board = Boards(1)
    while not board.over[0] and len(moves) <= PLIES.stop:
        moves.append(int(rng.choice(np.flatnonzero(board.legal()[0]))))
        board.play(np.array(moves[-1:]))
    last = min(len(moves) - 1, PLIES.stop - 1)
    for ply in rng.permutation(last + 1).tolist():
        yield solver.solve(tuple(moves[:ply]))


def slipping_game(solver: Solver, rng: np.random.Generator) -> Iterator[Solved]:
    """Yield the positions, in random order, of a game with optimal moves and occasional random ones."""
    positions: list[Solved] = []
    board = Boards(1)
    moves: tuple[int, ...] = ()
    while not board.over[0] and len(moves) < PLIES.stop:
        solved = solver.solve(moves)
        positions.append(solved)
        best = max(solved.scores.values())
        slips = rng.random() < SLIP_PROBABILITY
        choices = [column for column, score in solved.scores.items() if slips or score == best]
        moves = (*moves, int(rng.choice(choices)))
        board.play(np.array(moves[-1:]))
    for index in rng.permutation(len(positions)).tolist():
        yield positions[index]


def collect(source: str) -> list[Solved]:
    """Return different positions from one source, at most ``PER_PLY_AND_SOURCE`` per ply."""
    play = {"random": random_game, "slips": slipping_game}[source]
    solver, rng = Solver(), np.random.default_rng((SEED, source == "slips"))
    kept: dict[Key, Solved] = {}
    count: Counter[int] = Counter()
    for _ in range(GAMES[source]):
        wanted = (solved for solved in play(solver, rng) if _is_wanted(solved, kept, count))
        new = list(islice(wanted, POSITIONS_PER_GAME))
        kept.update((solved.key, solved) for solved in new)
        count.update(len(solved.moves) for solved in new)
        print(f"{source}: {len(kept)} positions", end="\r", flush=True)
    return list(kept.values())


def _is_wanted(solved: Solved, kept: dict[Key, Solved], count: Counter[int]) -> bool:
    return count[len(solved.moves)] < PER_PLY_AND_SOURCE and solved.is_gradable and solved.key not in kept


def write(file: Path, positions: list[Solved]) -> None:
    """Write a compressed file whose bytes depend on the positions only."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header_of(make_game()))
    writer.writerows(solved.row for solved in positions)
    with file.open("wb") as stream, gzip.GzipFile("", "wb", mtime=0, fileobj=stream) as compressed:
        compressed.write(text.getvalue().encode())


def main() -> None:
    """Write both halves, each with half of the positions of every ply and source."""
    with ProcessPoolExecutor() as pool:
        collected = list(pool.map(collect, GAMES))
    seen: set[Key] = set()
    halves: dict[str, list[Solved]] = {"dev": [], "test": []}
    for source in collected:
        new = sorted((solved for solved in source if solved.key not in seen), key=lambda solved: len(solved.moves))
        seen.update(solved.key for solved in new)
        halves["dev"] += new[::2]
        halves["test"] += new[1::2]
    for name, positions in halves.items():
        write(FOLDER / f"{name}.csv.gz", sorted(positions, key=lambda solved: (len(solved.moves), solved.moves)))
        print(f"{name}: {len(positions)} positions")


if __name__ == "__main__":
    main()
