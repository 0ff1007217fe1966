"""The smallest Ray example: Q-learning in a maze, serially and with Ray actors.

An agent starts in the top left corner of a grid and looks for the goal, by default in the bottom right one. It learns a
table of Q-values, one per cell and move. In parallel, Ray actors play episodes with a copy of the table, and the
trainer learns from whatever they have seen. Outer walls stop the agent; with --hazard, they also give a reward of -100,
and with --hazard end, they end the episode as well.

python examples/maze.py --mode both --gif walk.gif
python examples/maze.py --policy random --hazard cost --render
"""

import argparse
import shutil
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import ray
from matplotlib.animation import FuncAnimation, PillowWriter
from matplotlib.figure import Figure

import connectfour as cf

MOVES = ((1, 0), (0, -1), (-1, 0), (0, 1))  # down, left, up, right, as (row, column)
ARROWS = "↓←↑→"
HAZARDS = {"none": (0.0, False), "cost": (-100.0, False), "end": (-100.0, True)}  # wall: reward, end of the episode
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
        """Build ``size`` x ``size`` cells; ``seed`` places a random goal and a share ``obstacles`` of blocked cells."""
        self.size, self.random_start, self.wall, self.cell = size, random_start, HAZARDS[hazard], (0, 0)
        self.cells: list[Cell] = list(np.ndindex(size, size))
        rng = np.random.default_rng(seed)
        self.goal = self.cells[rng.integers(1, len(self.cells)) if random_goal else -1]  # never the first cell
        self.observation_space = gym.spaces.Tuple([gym.spaces.Discrete(size)] * 2)
        self.action_space = gym.spaces.Discrete(len(MOVES))
        self.metadata, self.render_mode = {"render_modes": ["ansi"], "render_fps": 4}, "ansi"  # render returns text
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
        """Return the next cell, the reward, and whether the episode ends. An unknown action raises ValueError."""
        if action not in range(len(MOVES)):  # Python would take -1 for the last move
            raise ValueError(f"unknown action {action}: use 0 (down), 1 (left), 2 (up) or 3 (right)")
        target = (cell[0] + MOVES[action][0], cell[1] + MOVES[action][1])
        if target not in self.cells:
            return cell, *self.wall
        target = cell if target in self.blocked else target
        return target, float(target == self.goal), target == self.goal

    def render(self) -> str:
        """Return the maze as text: the seeker ``S``, the goal ``G``, obstacles ``#`` and free cells ``.``."""
        signs = dict.fromkeys(self.cells, ".") | dict.fromkeys(self.blocked, "#") | {self.goal: "G", self.cell: "S"}
        return self.text(signs.values())

    def text(self, signs: Iterable[str]) -> str:
        """Return a grid of one sign per cell, row by row."""
        return "\n".join(" ".join(row) for row in np.reshape(list(signs), (self.size, self.size)))

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

    def rollout(self, policy: Policy, *, explore: bool = True) -> list[Step]:
        """Play one episode and return its steps."""
        steps: list[Step] = []
        cell, _ = self.maze.reset()
        while len(steps) < LIMIT and not (steps and steps[-1][4]):
            action = policy.act(cell, self.rng, explore=explore)
            after, reward, ended, _, _ = self.maze.step(action)
            steps.append((cell, action, reward, after, ended))
            cell = after
        return steps

    def rollouts(self, policy: Policy, count: int, *, explore: bool = True) -> list[list[Step]]:
        """Play ``count`` episodes."""
        return [self.rollout(policy, explore=explore) for _ in range(count)]


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


def evaluate(maze: Maze, policy: Policy, seed: int = 0) -> tuple[float, float]:
    """Return the mean number of steps and the mean return of 100 episodes without exploration."""
    episodes = Simulation(maze, seed).rollouts(policy, 100, explore=False)
    returns = [sum(reward for _, _, reward, _, _ in steps) for steps in episodes]
    return float(np.mean([len(steps) for steps in episodes])), float(np.mean(returns))


def sign(maze: Maze, policy: Policy, cell: Cell) -> str:
    """Return the best move in a cell as an arrow; ``#`` is an obstacle, ``G`` the goal, ``.`` not learned yet."""
    if cell in maze.blocked or cell == maze.goal:
        return "G" if cell == maze.goal else "#"
    return ARROWS[int(policy.table[cell].argmax())] if policy.table[cell].any() else "."


def show_walk(maze: Maze, steps: list[Step]) -> None:
    """Print an episode as text, in a terminal with enough lines as an animation of at most ten seconds."""
    animated = sys.stdout.isatty() and shutil.get_terminal_size().lines > maze.size + 1
    back = f"\x1b[{maze.size + 1}A\x1b[J" if animated else ""  # move up to the frame before, and erase it
    maze.cell = steps[0][0]
    print(f"step 0 of {len(steps)}\n{maze.render()}")
    for number, (_, action, reward, after, _) in enumerate(steps, start=1):
        if animated:
            time.sleep(min(0.3, 10 / len(steps)))
        maze.cell = after
        print(f"{back}step {number} of {len(steps)}: {ARROWS[action]} reward {reward:g}\n{maze.render()}")


def draw_walk(maze: Maze, policy: Policy, steps: list[Step], file: str) -> None:
    """Draw an episode, or its first 99 steps, as an animated GIF over the best moves."""
    cells = [steps[0][0], *(after for _, _, _, after, _ in steps)][:100]
    figure = Figure(figsize=(4, 4), layout="constrained")
    axis = figure.subplots()
    axis.set(xlim=(-0.5, maze.size - 0.5), ylim=(maze.size - 0.5, -0.5), aspect="equal", xticks=[], yticks=[])
    for cell in maze.cells:
        axis.text(cell[1], cell[0], sign(maze, policy, cell), ha="center", va="center", fontsize=18)
    (agent,) = axis.plot([], [], "o", markersize=28, color="#d55e00", alpha=0.6)
    title = axis.set_title("")

    def show(step: int) -> None:
        agent.set_data([cells[step][1]], [cells[step][0]])
        title.set_text(f"step {step} of {len(steps)}")

    FuncAnimation(figure, show, frames=len(cells)).save(file, writer=PillowWriter(fps=2))


def parse() -> argparse.Namespace:
    """Return the options of the command line, or exit with one sentence."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--policy", choices=["trained", "random"], default="trained", help="random: do not train")
    parser.add_argument("--mode", choices=["serial", "parallel", "both"], default="both", help="how to train")
    parser.add_argument("--size", type=int, default=5, help="rows and columns of the maze")
    parser.add_argument("--random-start", action="store_true", help="begin anywhere")
    parser.add_argument("--goal", choices=["corner", "random"], default="corner", help="bottom right, or a random cell")
    parser.add_argument("--hazard", nargs="?", choices=HAZARDS, default="none", const="cost", help="of outer walls")
    parser.add_argument("--obstacles", type=float, default=0.0, help="share of the cells that are blocked")
    parser.add_argument("--episodes", type=int, default=1000, help="episodes to learn from")
    parser.add_argument("--actors", type=int, default=2, help="Ray actors that play")
    parser.add_argument("--at-once", type=int, default=20, help="episodes that an actor plays before it reports")
    parser.add_argument("--seed", type=int, default=0, help="of the random goal, the obstacles, training and walks")
    parser.add_argument("--render", action="store_true", help="show one walk as text, animated in a terminal")
    parser.add_argument("--gif", help="file for an animation of one walk")
    options = parser.parse_args()
    for name, least in {"size": 2, "episodes": 1, "actors": 1, "at_once": 1, "seed": 0}.items():
        if getattr(options, name) < least:
            sys.exit(f"maze: --{name.replace('_', '-')} must be at least {least}, not {getattr(options, name)}")
    if options.gif and not Path(options.gif).absolute().parent.is_dir():
        sys.exit(f"maze: the folder of --gif {options.gif} does not exist: create it first")
    if not 0 <= options.obstacles <= 0.5:
        sys.exit(f"maze: --obstacles {options.obstacles} is not a share between 0 and 0.5")
    return options


def main() -> None:
    """Train as the command line says, and print what was learned."""
    options = parse()
    maze = Maze(
        options.size,
        random_start=options.random_start,
        random_goal=options.goal == "random",
        hazard=options.hazard,
        obstacles=options.obstacles,
        seed=options.seed,
    )
    modes = ["serial", "parallel"] if options.mode == "both" else [options.mode]
    modes = ["untrained"] if options.policy == "random" else modes
    if "parallel" in modes:
        cf.start_ray(cpus=options.actors)  # starting Ray is not part of the training time
    seconds = {}
    for mode in modes:
        policy = Policy(np.zeros((maze.size, maze.size, len(MOVES))))
        start = time.perf_counter()
        if mode == "serial":
            train_serially(maze, policy, options.episodes, options.seed)
        elif mode == "parallel":
            train_in_parallel(maze, policy, options.episodes, options.actors, options.at_once, options.seed)
        seconds[mode] = time.perf_counter() - start
        length, reward = evaluate(maze, policy, options.seed)
        print(f"{mode}, {seconds[mode]:.2f} s of training: {length:.2f} steps and a return of {reward:.2f} on average")
        print(maze.text(sign(maze, policy, cell) for cell in maze.cells))
    if len(seconds) == 2:
        ratio = seconds["parallel"] / seconds["serial"]
        why = ": such short episodes cost more to send than to play" if ratio > 1 else ""
        print(f"parallel training took {ratio:.2f} times as long as serial training{why}")
    steps = Simulation(maze, options.seed).rollout(policy, explore=False)
    if options.render:
        show_walk(maze, steps)
    if options.gif:
        draw_walk(maze, policy, steps, options.gif)
        print(f"one walk: {options.gif}")


if __name__ == "__main__":
    main()
