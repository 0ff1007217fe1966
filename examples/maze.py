"""The smallest Ray example: Q-learning in a maze, serially and with Ray actors.

An agent starts in the top left corner of a grid and looks for the goal, by default in the bottom right one. It learns a
table of Q-values, one per cell and move. In parallel, Ray actors play episodes with a copy of the table, and the
trainer learns from whatever they have seen.

python examples/maze.py --mode both --gif walk.gif
"""

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
import ray
from matplotlib.animation import FuncAnimation, PillowWriter
from matplotlib.figure import Figure

import connectfour as cf

MOVES = ((1, 0), (0, -1), (-1, 0), (0, 1))  # down, left, up, right, as (row, column)
ARROWS = "↓←↑→"
# What running into an outer wall does: the reward, and whether the episode ends.
HAZARDS = {"none": (0.0, False), "cost": (-100.0, False), "end": (-100.0, True)}
LIMIT = 1000  # steps of an episode
Cell = tuple[int, int]
Step = tuple[Cell, int, float, Cell, bool]  # cell, move, reward, next cell, whether the episode ended


class Maze(gym.Env):  # type: ignore[misc]  # Gymnasium is untyped here
    """A grid with walls around it. The goal gives a reward of 1 and ends the episode.

    Obstacles and outer walls only stop the agent. If hazardous, outer walls also give -100 (``hazard="cost"``), or give
    -100 and end the episode (``"end"``).
    """

    def __init__(
        self,
        size: int = 5,
        *,
        random_start: bool = False,
        random_goal: bool = False,
        hazard: str = "none",
        obstacles: float = 0.0,
        seed: int = 0,
    ) -> None:
        """Build a maze with ``size`` x ``size`` cells, a share ``obstacles`` of which is blocked.

        ``seed`` decides which cells are blocked and where a random goal is. Neither changes between episodes.
        """
        self.size, self.random_start = size, random_start
        self.wall_reward, self.wall_ends = HAZARDS[hazard]
        self.cells: list[Cell] = list(np.ndindex(size, size))
        rng = np.random.default_rng(seed)
        self.goal = self.cells[rng.integers(1, len(self.cells)) if random_goal else -1]  # never the first cell
        self.observation_space = gym.spaces.Tuple([gym.spaces.Discrete(size)] * 2)
        self.action_space = gym.spaces.Discrete(len(MOVES))
        self.blocked: set[Cell] = set()
        for cell in rng.permutation(self.cells)[: round(obstacles * size * size)]:
            # Every free cell must have a way to the goal.
            blocked = {*self.blocked, tuple(cell.tolist())}
            if not blocked & {self.cells[0], self.goal} and self._all_reach_the_goal(blocked):
                self.blocked = blocked

    def _all_reach_the_goal(self, blocked: set[Cell]) -> bool:
        found, todo = {self.goal}, [self.goal]
        while todo:
            row, column = todo.pop()
            for cell in ((row + down, column + right) for down, right in MOVES):
                if cell in self.cells and cell not in blocked | found:
                    found.add(cell)
                    todo.append(cell)
        return len(found) + len(blocked) == self.size**2

    def starts(self) -> list[Cell]:
        """Return the cells in which an episode may begin."""
        free = [cell for cell in self.cells if cell not in self.blocked and cell != self.goal]
        return free if self.random_start else [(0, 0)]

    def move(self, cell: Cell, action: int) -> tuple[Cell, float, bool]:
        """Return the next cell, the reward, and whether the episode ends: the rules, without any state.

        Raises ValueError if there is no such action.
        """
        if action not in range(len(MOVES)):  # Python would take -1 for the last move
            raise ValueError(f"unknown action {action}: use 0 (down), 1 (left), 2 (up) or 3 (right)")
        target = (cell[0] + MOVES[action][0], cell[1] + MOVES[action][1])
        if target not in self.cells:
            return cell, self.wall_reward, self.wall_ends
        target = cell if target in self.blocked else target
        return target, float(target == self.goal), target == self.goal

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Cell, dict[str, Any]]:
        """Begin an episode."""
        super().reset(seed=seed)
        starts = self.starts()
        self.cell = starts[self.np_random.integers(len(starts))]
        return self.cell, {}

    def step(self, action: int) -> tuple[Cell, float, bool, bool, dict[str, Any]]:
        """Take one step."""
        self.cell, reward, ended = self.move(self.cell, action)
        return self.cell, reward, ended, False, {}


@dataclass
class Policy:
    """A table of Q-values, (size, size, moves), and how it is learned."""

    table: np.ndarray
    weight: float = 0.1
    discount: float = 0.9
    epsilon: float = 0.1

    def act(self, cell: Cell, rng: np.random.Generator, *, explore: bool = True) -> int:
        """Return the best move, or sometimes a random one; ties are broken at random."""
        if explore and rng.random() < self.epsilon:
            return int(rng.integers(len(MOVES)))
        values = self.table[cell]
        return int(rng.choice(np.flatnonzero(values == values.max())))

    def learn(self, steps: list[Step]) -> None:
        """Move each Q-value toward reward + discount * best next Q-value, the last step of an episode first."""
        for cell, action, reward, after, ended in reversed(steps):
            target = reward if ended else reward + self.discount * self.table[after].max()
            self.table[cell][action] += self.weight * (target - self.table[cell][action])


class Simulation:
    """Plays episodes in a maze."""

    def __init__(self, maze: Maze, seed: int = 0) -> None:
        """Seed the maze and the policy's random numbers."""
        self.maze, self.rng = maze, np.random.default_rng(seed)
        self.maze.reset(seed=seed)

    def rollout(self, policy: Policy) -> list[Step]:
        """Play one episode and return its steps."""
        steps: list[Step] = []
        cell, _ = self.maze.reset()
        while len(steps) < LIMIT and not (steps and steps[-1][4]):
            action = policy.act(cell, self.rng)
            after, reward, ended, _, _ = self.maze.step(action)
            steps.append((cell, action, reward, after, ended))
            cell = after
        return steps

    def rollouts(self, policy: Policy, count: int) -> list[list[Step]]:
        """Play ``count`` episodes."""
        return [self.rollout(policy) for _ in range(count)]


def train_serially(maze: Maze, policy: Policy, episodes: int, seed: int = 0) -> None:
    """Alternate between playing and learning."""
    simulation = Simulation(maze, seed)
    for _ in range(episodes):
        policy.learn(simulation.rollout(policy))


def train_in_parallel(maze: Maze, policy: Policy, episodes: int, actors: int, at_once: int, seed: int = 0) -> None:
    """Let Ray actors play, ``at_once`` episodes per call, and learn from whichever of them is ready first."""
    remote = ray.remote(num_cpus=0)(Simulation)
    simulations = [remote.remote(maze, seed + number) for number in range(actors)]
    table = ray.put(policy)  # one copy in the object store, however many actors read it
    under_way = {simulation.rollouts.remote(table, at_once): simulation for simulation in simulations}
    played = 0
    while played < episodes:
        (ready,), _ = ray.wait(list(under_way))
        simulation = under_way.pop(ready)
        for steps in ray.get(ready):
            policy.learn(steps)
            played += 1
        table = ray.put(policy)
        under_way[simulation.rollouts.remote(table, at_once)] = simulation


def mean_steps(maze: Maze, policy: Policy) -> float:
    """Return the average number of steps without exploration over all starts."""
    return float(np.mean([sum(1 for _ in walk(maze, policy, start)) for start in maze.starts()]))


def walk(maze: Maze, policy: Policy, cell: Cell) -> Iterator[Cell]:
    """Yield the cells that the policy visits after ``cell``."""
    rng = np.random.default_rng(0)
    for _ in range(LIMIT):
        cell, _, ended = maze.move(cell, policy.act(cell, rng, explore=False))
        yield cell
        if ended:
            return


def sign(maze: Maze, policy: Policy, cell: Cell) -> str:
    """Return the best move in a cell as an arrow; ``#`` is an obstacle, ``G`` the goal, ``.`` not learned yet."""
    if cell in maze.blocked or cell == maze.goal:
        return "G" if cell == maze.goal else "#"
    return ARROWS[int(policy.table[cell].argmax())] if policy.table[cell].any() else "."


def draw_walk(maze: Maze, policy: Policy, file: str) -> None:
    """Draw one walk from the first start as an animated GIF."""
    cells = [maze.starts()[0], *walk(maze, policy, maze.starts()[0])][:100]
    figure = Figure(figsize=(4, 4), layout="constrained")
    axis = figure.subplots()
    axis.set(xlim=(-0.5, maze.size - 0.5), ylim=(maze.size - 0.5, -0.5), aspect="equal", xticks=[], yticks=[])
    for cell in maze.cells:
        axis.text(cell[1], cell[0], sign(maze, policy, cell), ha="center", va="center", fontsize=18)
    (agent,) = axis.plot([], [], "o", markersize=28, color="#d55e00", alpha=0.6)
    title = axis.set_title("")

    def show(step: int) -> None:
        agent.set_data([cells[step][1]], [cells[step][0]])
        title.set_text(f"step {step}")

    FuncAnimation(figure, show, frames=len(cells)).save(file, writer=PillowWriter(fps=2))


def main() -> None:
    """Train as the command line says, and print what was learned."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mode", choices=["serial", "parallel", "both"], default="both", help="how to train")
    parser.add_argument("--size", type=int, default=5, help="rows and columns of the maze")
    parser.add_argument("--random-start", action="store_true", help="begin anywhere")
    parser.add_argument("--goal", choices=["corner", "random"], default="corner", help="bottom right, or a random cell")
    parser.add_argument(
        "--hazard",
        nargs="?",
        choices=HAZARDS,
        default="none",
        const="end",
        help="running into an outer wall gives -100, and the episode goes on (cost) or ends (end, or no value)",
    )
    parser.add_argument("--obstacles", type=float, default=0.0, help="share of the cells that are blocked")
    parser.add_argument("--episodes", type=int, default=1000, help="episodes to learn from")
    parser.add_argument("--actors", type=int, default=2, help="Ray actors that play")
    parser.add_argument("--at-once", type=int, default=20, help="episodes that an actor plays before it reports")
    parser.add_argument("--seed", type=int, default=0, help="of the random goal, the obstacles and the training")
    parser.add_argument("--gif", help="file for an animation of one walk")
    options = parser.parse_args()
    for name, least in {"size": 2, "episodes": 1, "actors": 1, "at_once": 1, "seed": 0}.items():
        if getattr(options, name) < least:
            sys.exit(f"maze: --{name.replace('_', '-')} must be at least {least}, not {getattr(options, name)}")
    if not 0 <= options.obstacles <= 0.5:
        sys.exit(f"maze: --obstacles {options.obstacles} is not a share between 0 and 0.5")

    maze = Maze(
        options.size,
        random_start=options.random_start,
        random_goal=options.goal == "random",
        hazard=options.hazard,
        obstacles=options.obstacles,
        seed=options.seed,
    )
    if options.mode != "serial":
        cf.start_ray(cpus=options.actors)  # starting Ray is not part of the training time
    seconds = {}
    for mode in ["serial", "parallel"] if options.mode == "both" else [options.mode]:
        policy = Policy(np.zeros((maze.size, maze.size, len(MOVES))))
        start = time.perf_counter()
        if mode == "serial":
            train_serially(maze, policy, options.episodes, options.seed)
        else:
            train_in_parallel(maze, policy, options.episodes, options.actors, options.at_once, options.seed)
        seconds[mode] = time.perf_counter() - start
        steps = mean_steps(maze, policy)
        print(f"{mode}: {options.episodes} episodes in {seconds[mode]:.2f} s, {steps:.2f} steps on average")
        signs = [sign(maze, policy, cell) for cell in maze.cells]
        print("\n".join(" ".join(signs[row : row + maze.size]) for row in range(0, len(signs), maze.size)))
    if len(seconds) == 2:
        ratio = seconds["parallel"] / seconds["serial"]
        why = ": such short episodes cost more to send than to play" if ratio > 1 else ""
        print(f"parallel training took {ratio:.2f} times as long as serial training{why}")
    if options.gif:
        draw_walk(maze, policy, options.gif)
        print(f"one walk: {options.gif}")


if __name__ == "__main__":
    main()
